//! Texts for PowerShell, and command lines for Windows programs.

/// A text for PowerShell, whatever it holds, in single quotes: nothing in them means anything but the quote itself. Typographic
/// ones are quotes to it, too (about_Quoting_Rules; `CharTraits.IsSingleQuote`).
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for c in text.chars() {
        if matches!(c, '\'' | '\u{2018}'..='\u{201b}') {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

/// The text with nothing in it that a code page could change, as `[regex]::Unescape` undoes it.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 16);
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(b'\\') => escaped.push_str("\\\\"),
            Ok(b'\n') => escaped.push_str("\\n"),
            Ok(byte @ b' '..=b'~') => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("\\u{unit:04x}")),
        }
    }
    escaped
}

/// Words of a command line as `CommandLineToArgvW` and the C runtime take it apart: backslashes are themselves unless a
/// double quote follows, before which each is doubled.
pub fn arguments(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| argument(word)).collect();
    words.join(" ")
}

fn argument(word: &str) -> String {
    let plain = !word.is_empty() && !word.contains([' ', '\t', '\n', '\u{b}', '"']);
    if plain {
        return word.to_string();
    }
    let mut line = String::from("\"");
    let mut backslashes = 0;
    for c in word.chars() {
        match c {
            '\\' => backslashes += 1,
            '"' => {
                line.push_str(&"\\".repeat(backslashes * 2 + 1));
                line.push('"');
                backslashes = 0;
            }
            c => {
                line.push_str(&"\\".repeat(backslashes));
                line.push(c);
                backslashes = 0;
            }
        }
    }
    line.push_str(&"\\".repeat(backslashes * 2));
    line.push('"');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is documented of `CommandLineToArgvW`: 2n backslashes and a quote are n backslashes and a delimiter, 2n+1 of them
    /// n backslashes and a quote; others are themselves.
    fn taken_apart(line: &str) -> Vec<String> {
        let (mut words, mut word, mut there, mut quoted) = (Vec::new(), String::new(), false, false);
        let mut letters = line.chars().peekable();
        while let Some(c) = letters.next() {
            match c {
                '\\' => {
                    let mut n = 1;
                    while letters.next_if_eq(&'\\').is_some() {
                        n += 1;
                    }
                    there = true;
                    if letters.peek() == Some(&'"') {
                        word.push_str(&"\\".repeat(n / 2));
                        if n % 2 == 1 {
                            word.push('"');
                            letters.next();
                        }
                    } else {
                        word.push_str(&"\\".repeat(n));
                    }
                }
                '"' => {
                    there = true;
                    quoted = !quoted;
                }
                ' ' | '\t' if !quoted => {
                    if there {
                        words.push(std::mem::take(&mut word));
                    }
                    there = false;
                }
                c => {
                    there = true;
                    word.push(c);
                }
            }
        }
        if there {
            words.push(word);
        }
        words
    }

    #[test]
    fn words_survive_a_command_line() {
        let words = [
            "plain",
            "",
            "two words",
            r"C:\Program Files\App\",
            r"C:\dir\",
            r#"say "hi""#,
            r#"\"#,
            r#"a\\"b"#,
            r#"ends in \\"#,
            "tab\there",
            "ümläut",
            "'single'",
            "%PATH% & | > ^",
        ];
        let words: Vec<String> = words.iter().map(|w| w.to_string()).collect();
        assert_eq!(taken_apart(&arguments(&words)), words);
        // The same with all short words of what matters.
        let letters = ['a', ' ', '"', '\\'];
        for n in 0..4_u32.pow(5) {
            let word: String = (0..5).map(|i| letters[(n / 4_u32.pow(i) % 4) as usize]).collect();
            let words = vec![word, "next".to_string()];
            assert_eq!(taken_apart(&arguments(&words)), words);
        }
        assert_eq!(arguments(&[r"C:\a b\".to_string()]), r#""C:\a b\\""#);
    }

    #[test]
    fn texts_survive_powershell() {
        assert_eq!(quote("it's $x `n"), "'it''s $x `n'");
        assert_eq!(quote("\u{2019}"), "'\u{2019}\u{2019}'");
        assert_eq!(quote("\u{201c}"), "'\u{201c}'");
    }

    #[test]
    fn what_is_sent_is_one_line_of_ascii() {
        let escaped = escape("a\\b\r\n\tü😀'");
        assert_eq!(escaped, r"a\\b\u000d\n\u0009\u00fc\ud83d\ude00'");
        assert!(escaped.is_ascii());
    }
}
