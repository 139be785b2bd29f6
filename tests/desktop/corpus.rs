//! What the fuzzer found worth keeping, as a test; see tools/fuzz.sh.

#[path = "../../fuzz/shared/rfb_decoder.rs"]
mod rfb_decoder;

#[test]
fn the_fuzzers_corpus_is_decoded_as_in_pieces() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/rfb_decoder");
    let mut read = 0;
    for entry in std::fs::read_dir(&folder).expect("fuzz/seeds") {
        let path = entry.expect("entry").path();
        eprintln!("{}", path.display());
        rfb_decoder::feed(&std::fs::read(&path).expect("seed"));
        read += 1;
    }
    assert!(read >= 20, "only {read} seeds in {}", folder.display());
}
