//! A shell's text to commands.

use super::{Command, Join, Script, base_name, variables};
use std::collections::VecDeque;

/// How deep texts within texts (`$(...)`, `sh -c '...'`) are read.
const MAX_DEPTH: usize = 16;

/// Reads a text that stands within `depth` others.
pub(super) fn script(text: &str, depth: usize) -> Script {
    if depth > MAX_DEPTH {
        return Script::default();
    }
    let mut reader = Reader {
        chars: text.chars().collect(),
        depth,
        ..Reader::default()
    };
    reader.read();
    reader.script
}

/// What the next word is for.
enum Redirect {
    /// The delimiter of a here-document.
    Delimiter,
    /// The file that this descriptor (1 or 2; 3 for both) is written to, or anything else (0).
    File(u8),
}

#[derive(Default)]
struct Reader {
    chars: Vec<char>,
    at: usize,
    depth: usize,
    script: Script,
    words: Vec<String>,
    word: Option<String>,
    /// Standard output is thrown away.
    silent: bool,
    next: Command,
    redirect: Option<Redirect>,
    delimiters: VecDeque<String>,
}

impl Reader {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn read(&mut self) {
        while let Some(c) = self.peek(0) {
            self.at += 1;
            match c {
                '\\' => match self.peek(0) {
                    Some('\n') => self.at += 1,
                    Some(c) => {
                        self.at += 1;
                        self.push(c);
                    }
                    None => {}
                },
                '\'' => {
                    self.word.get_or_insert_default();
                    while let Some(c) = self.peek(0) {
                        self.at += 1;
                        if c == '\'' {
                            break;
                        }
                        self.push(c);
                    }
                }
                '"' => self.quoted(),
                '$' | '`' => self.expansion(c),
                '#' if self.word.is_none() => {
                    while self.peek(0).is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                '\n' => {
                    self.end(Join::Then);
                    self.skip_documents();
                }
                c if c.is_whitespace() => self.end_word(),
                ';' => self.end(Join::Then),
                '(' | ')' => {
                    self.end(Join::Then);
                    self.script.brackets = true;
                }
                '&' if self.peek(0) == Some('&') => self.end_two(Join::And),
                '&' if self.peek(0) == Some('>') => {
                    self.end_word();
                    self.at += if self.peek(1) == Some('>') { 2 } else { 1 };
                    self.redirect = Some(Redirect::File(3));
                }
                '&' => self.end(Join::Then),
                '|' if self.peek(0) == Some('|') => self.end_two(Join::Or),
                '|' if self.peek(0) == Some('&') => self.end_two(Join::Pipe),
                '|' => self.end(Join::Pipe),
                '<' | '>' => self.redirection(c),
                c => self.push(c),
            }
        }
        self.end(Join::Then);
    }

    /// The rest of a text in double quotes.
    fn quoted(&mut self) {
        self.word.get_or_insert_default();
        while let Some(c) = self.peek(0) {
            self.at += 1;
            match c {
                '"' => return,
                '\\' => {
                    if let Some(c) = self.peek(0) {
                        self.at += 1;
                        self.push(c);
                    }
                }
                '$' | '`' => self.expansion(c),
                c => self.push(c),
            }
        }
    }

    /// What `$` or a backquote begins. Commands in it are read, too.
    fn expansion(&mut self, c: char) {
        self.push(c);
        match (c, self.peek(0)) {
            ('`', _) => {
                let mut inner = String::new();
                while let Some(c) = self.peek(0) {
                    self.at += 1;
                    if c == '`' {
                        break;
                    }
                    inner.push(c);
                }
                self.inner(&inner);
            }
            (_, Some('(')) => {
                let arithmetic = self.peek(1) == Some('(');
                let inner = self.balanced('(', ')');
                match arithmetic {
                    true => self.variables_in(&inner),
                    false => self.inner(&inner),
                }
            }
            (_, Some('{')) => {
                let inner = self.balanced('{', '}');
                inner.chars().for_each(|c| self.push(c));
                let letters: Vec<char> = inner.chars().collect();
                let (name, rest) = variables::expanded(&letters);
                self.script.used.extend(name);
                if rest.contains('=') {
                    // `${x:=value}`
                    self.script.set.push(variables::name(&letters));
                }
                self.variables_in(&rest);
            }
            _ => {
                let name = variables::name(&self.chars[self.at..]);
                // `$env:NAME` is PowerShell's.
                let other = name == "env" && self.peek(name.len()) == Some(':');
                if !name.is_empty() && !other {
                    self.script.used.push(name);
                }
            }
        }
    }

    /// Takes the variables of a text that is no command.
    fn variables_in(&mut self, text: &str) {
        if text.contains('$') {
            let found = script(text, self.depth + 1);
            let only = Script {
                used: found.used,
                set: found.set,
                ..Script::default()
            };
            self.script.inner.push(only);
        }
    }

    /// What stands between the bracket that comes next and the one that closes it.
    fn balanced(&mut self, open: char, close: char) -> String {
        let (mut depth, mut inner, mut quote) = (0, String::new(), None);
        while let Some(c) = self.peek(0) {
            self.at += 1;
            match quote {
                Some(q) if c == q => quote = None,
                Some(_) => {}
                None if c == '\'' || c == '"' => quote = Some(c),
                None if c == open => depth += 1,
                None if c == close => depth -= 1,
                None => {}
            }
            if depth == 0 {
                break;
            }
            inner.push(c);
        }
        inner.split_off(inner.len().min(1))
    }

    fn inner(&mut self, text: &str) {
        self.script.inner.push(script(text, self.depth + 1));
    }

    fn redirection(&mut self, c: char) {
        // `2>`: the number right before belongs to it.
        let number = self.word.as_deref().and_then(|w| w.parse::<u8>().ok());
        if number.is_some() {
            self.word = None;
        }
        self.end_word();
        match (c, self.peek(0), self.peek(1)) {
            ('<', Some('<'), Some('<')) => self.at += 2,
            ('<', Some('<'), _) => {
                self.at += 1;
                if self.peek(0) == Some('-') {
                    self.at += 1;
                }
                self.script.heredoc = true;
                self.redirect = Some(Redirect::Delimiter);
                return;
            }
            (_, Some('('), _) => {
                let inner = self.balanced('(', ')');
                self.inner(&inner);
                self.push('-');
                return;
            }
            (_, Some('>' | '|' | '&'), _) => self.at += 1,
            _ => {}
        }
        self.redirect = Some(Redirect::File(if c == '>' { number.unwrap_or(1) } else { 0 }));
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        match self.redirect.take() {
            Some(Redirect::Delimiter) => self.delimiters.push_back(word),
            Some(Redirect::File(to)) => {
                let nowhere = word == "/dev/null";
                self.silent |= nowhere && to & 1 == 1;
                self.next.quiet |= nowhere && to & 2 == 2 || to == 2 && word == "1" && self.silent;
            }
            None => self.words.push(word),
        }
    }

    fn end_two(&mut self, join: Join) {
        self.at += 1;
        self.end(join);
    }

    /// Ends the command, which the next one follows by `join`.
    fn end(&mut self, join: Join) {
        self.end_word();
        self.redirect = None;
        if self.words.is_empty() && !self.next.quiet {
            // `a ||` and the end of the line, or `(`: what joined it still does.
            if join != Join::Then {
                self.next.join = join;
            }
            return;
        }
        let words = std::mem::take(&mut self.words);
        let mut command = std::mem::take(&mut self.next);
        self.silent = false;
        self.next.join = join;
        let mut rest = words.into_iter().peekable();
        let mut keywords = false;
        while let Some(word) = rest.peek() {
            match word.as_str() {
                "while" | "until" => self.script.polls = true,
                "!" => command.negated = true,
                "if" | "then" | "elif" | "else" | "do" | "{" => {}
                _ => break,
            }
            keywords = true;
            rest.next();
        }
        let bare = rest.peek().is_none();
        let words: Vec<String> = rest.collect();
        command.words = unwrapped(words.clone());
        let before = &words[..words.len() - command.words.len()];
        self.script
            .set
            .extend(before.iter().filter_map(|w| variables::assigned(w)));
        // `a+=1`, `a[0]=1`.
        let more = command.words.iter().map_while(|w| variables::assigned(w));
        self.script.set.extend(more);
        // `env A=1` alone.
        let shown = command.words.iter().take_while(|_| command.name() == "env");
        self.script.set.extend(shown.filter_map(|w| variables::assigned(w)));
        self.script.set.extend(variables::set_by(&command));
        if keywords && bare {
            // `a || {` and the end of the line.
            if join == Join::Then {
                self.next.join = command.join;
            }
            return;
        }
        self.script.polls |= command.name() == "for";
        self.shells_within(&command);
        self.script.commands.push(command);
    }

    /// `sh -c TEXT` and `eval TEXT`.
    fn shells_within(&mut self, command: &Command) {
        let shells = ["sh", "bash", "dash", "ash", "zsh", "ksh", "su", "runuser"];
        if command.name() == "eval" {
            self.inner(&command.words[1..].join(" "));
        } else if shells.contains(&command.name()) {
            let is_c = |w: &&String| w.starts_with('-') && !w.starts_with("--") && w.ends_with('c');
            if let Some(text) = command.words.iter().skip_while(|w| !is_c(w)).nth(1) {
                self.inner(text);
            }
        }
    }

    /// The lines of here-documents, which begin here.
    fn skip_documents(&mut self) {
        while let Some(delimiter) = self.delimiters.pop_front() {
            while self.at < self.chars.len() {
                let rest = &self.chars[self.at..];
                let end = rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
                let line: String = rest[..end].iter().collect();
                self.at = (self.at + end + 1).min(self.chars.len());
                if line.trim_start_matches('\t') == delimiter {
                    break;
                }
            }
        }
    }
}

/// The command itself: assignments and programs that only run another are taken away.
fn unwrapped(words: Vec<String>) -> Vec<String> {
    /// Each with its options that take a word, and how many words come before the command.
    const WRAPPERS: [(&str, &[&str], usize); 13] = [
        ("sudo", &["-u", "-g", "-h", "-p", "-C", "-T", "-U"], 0),
        ("doas", &["-u", "-C"], 0),
        ("env", &["-u", "-C"], 0),
        ("nice", &["-n"], 0),
        ("timeout", &["-k", "-s"], 1),
        ("stdbuf", &["-i", "-o", "-e"], 0),
        ("xargs", &["-I", "-n", "-P", "-d", "-L", "-s", "-E"], 0),
        ("nohup", &[], 0),
        ("setsid", &[], 0),
        ("command", &[], 0),
        ("builtin", &[], 0),
        ("time", &[], 0),
        ("dbus-run-session", &[], 0),
    ];
    let is_assignment = |w: &String| {
        w.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
    };
    let mut from = 0;
    loop {
        while words.get(from).is_some_and(is_assignment) {
            from += 1;
        }
        let name = words.get(from).map_or("", |w| base_name(w));
        let Some((_, with_word, before)) = WRAPPERS.iter().find(|(wrapper, ..)| *wrapper == name) else {
            break;
        };
        let mut at = from + 1;
        while let Some(option) = words.get(at).filter(|w| w.starts_with('-')) {
            // `command -v` only asks whether there is such a command.
            if name == "command" && option != "-p" {
                return words[from..].to_vec();
            }
            at += if with_word.contains(&option.as_str()) { 2 } else { 1 };
        }
        while words.get(at).is_some_and(is_assignment) {
            at += 1;
        }
        at += before;
        if at >= words.len() {
            break;
        }
        from = at;
    }
    words.into_iter().skip(from).collect()
}
