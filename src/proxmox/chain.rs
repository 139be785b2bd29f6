//! Errors of HTTP clients with their causes, for people.

use std::fmt::Write;

/// What says only that there is a cause.
const EMPTY: [&str; 5] = [
    "error sending request",
    "client error (Connect)",
    "client error (SendRequest)",
    "tcp connect error",
    "dns error",
];

/// The chain of causes, without the links that say nothing: reqwest's own text rarely says why.
pub(crate) fn chain(e: &dyn std::error::Error) -> String {
    let mut out = String::new();
    let mut link = Some(e);
    while let Some(e) = link {
        let text = e.to_string();
        link = e.source();
        if out.contains(&text) || link.is_some() && EMPTY.contains(&text.as_str()) {
            continue;
        }
        let _ = write!(out, "{}{text}", if out.is_empty() { "" } else { ": " });
    }
    // The system's number tells a person nothing that its text does not.
    while let Some(from) = out.find(" (os error ") {
        let Some(to) = out[from..].find(')') else { break };
        out.replace_range(from..=from + to, "");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::chain;

    #[test]
    fn links_of_a_chain_that_say_nothing_are_left_out() {
        #[derive(Debug)]
        struct Link(&'static str, Option<Box<Link>>);
        impl std::fmt::Display for Link {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.0)
            }
        }
        impl std::error::Error for Link {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                self.1.as_deref().map(|link| link as _)
            }
        }
        let of = |texts: &[&'static str]| {
            let link = texts
                .iter()
                .rev()
                .fold(None, |cause, text| Some(Box::new(Link(text, cause))));
            link.map(|link| chain(link.as_ref())).unwrap_or_default()
        };
        let wrapped = [
            "error sending request",
            "client error (Connect)",
            "tcp connect error",
            "Connection refused (os error 111)",
        ];
        assert_eq!(of(&wrapped), "Connection refused");
        assert_eq!(
            of(&["error sending request", "invalid peer certificate: Expired"]),
            "invalid peer certificate: Expired"
        );
        // The last one is the cause, whatever it says.
        assert_eq!(of(&["error sending request"]), "error sending request");
    }
}
