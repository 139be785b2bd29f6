//! Builds (or finds) the template in the default cache; the other tests stand on it.

use mosdat::lab::template::{BuildOptions, Template, build};

/// The template; the first caller on a machine waits for its build.
pub async fn template() -> Template {
    static ONCE: tokio::sync::OnceCell<Template> = tokio::sync::OnceCell::const_new();
    ONCE.get_or_init(|| async {
        build(BuildOptions::default(), |p| {
            eprintln!("[{:6.1} s] {}: {}", p.elapsed.as_secs_f64(), p.phase, p.detail)
        })
        .await
        .expect("the template builds")
    })
    .await
    .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn template_is_built_and_cached() {
    let t = template().await;
    assert!(t.disk().is_file() && t.kernel().is_file() && t.initrd().is_file());
}
