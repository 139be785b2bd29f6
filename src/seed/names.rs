//! Names of resources, made of the words of the file.

/// A name that Kubernetes takes, of at most `most` letters.
pub(super) fn slug(text: &str, most: usize) -> String {
    let mut out = String::new();
    for c in text.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => out.push(c),
            _ if out.ends_with('-') || out.is_empty() => {}
            _ => out.push('-'),
        }
    }
    let out: String = out.chars().take(most).collect();
    match out.trim_matches('-') {
        "" => "x".to_string(),
        name => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn names_are_what_kubernetes_takes() {
        assert_eq!(slug("Rocket.Chat  Desktop", 50), "rocket-chat-desktop");
        assert_eq!(slug("_a_b_", 3), "a-b");
        assert_eq!(slug("日本", 9), "x");
    }
}
