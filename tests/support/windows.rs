//! The far side of the agent's wire in a guest that is Windows: takes what is sent apart as PowerShell would, and answers as
//! each script would there. Nothing of PowerShell runs: what a script does is told by its first words.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use mosdat::guest::{AgentGuest, System};
use mosdat::proxmox::{Auth, Client, Config, Tls};
use secrecy::SecretString;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Whoever is logged on.
pub const USER: &str = "WIN\\tester";

/// What a script is asked with.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// As whom it runs; none: the system.
    pub user: Option<String>,
    pub env: BTreeMap<String, String>,
    pub input: Option<String>,
    pub text: String,
    /// An error in it is its end, and no fault.
    pub of_scenario: bool,
}

/// How it ends; none: never by itself.
pub type Answer = Option<(i64, String, String)>;

/// What is in the guest.
#[derive(Default)]
pub struct World {
    /// What none of mosdat's own scripts gets beyond.
    pub broken: Option<String>,
    /// Nobody is logged on.
    pub nobody: bool,
    /// What the Task Scheduler says no with.
    pub no_task: Option<String>,
    pub processes: Vec<String>,
    pub ports: Vec<u16>,
    /// Titles and places.
    pub windows: Vec<(String, [i64; 4])>,
    /// By their path.
    pub files: BTreeMap<String, Vec<u8>>,
    pub clipboard: String,
    /// What UI Automation tells (JSON).
    pub tree: Option<String>,
    /// How a started program has ended, with what it said.
    pub ended: Option<(i64, String)>,
    /// Windows that a started program shows.
    pub shows: Option<(String, [i64; 4])>,
    /// What is installed: name and version.
    pub installed: BTreeMap<String, String>,
    /// What an installer brings, by its path, and its exit code (7777: for its own user only; 7778: which program it is, is not clear); nothing: of an unknown kind.
    pub installers: BTreeMap<String, Option<(String, String, i64)>>,
    pub boots: u32,
    /// What commands of a scenario do, by their text.
    pub commands: BTreeMap<String, Answer>,
}

#[derive(Default)]
pub struct Windows {
    pub world: Mutex<World>,
    /// Command lines, as a list of processes shows them.
    pub lines: Mutex<Vec<Vec<String>>>,
    pub asked: Mutex<Vec<Asked>>,
    running: Mutex<HashMap<u64, Answer>>,
    count: Mutex<u64>,
}

/// What `[regex]::Unescape` makes of it.
fn unescaped(text: &str) -> String {
    let (mut units, mut letters) = (Vec::new(), text.chars());
    while let Some(c) = letters.next() {
        match (c, if c == '\\' { letters.next() } else { None }) {
            ('\\', Some('n')) => units.push(10),
            ('\\', Some('u')) => {
                let digits: String = letters.by_ref().take(4).collect();
                units.push(u16::from_str_radix(&digits, 16).unwrap());
            }
            ('\\', other) => units.push(other.unwrap() as u16),
            (c, _) => units.push(u16::try_from(u32::from(c)).unwrap()),
        }
    }
    String::from_utf16(&units).unwrap()
}

/// A text in single quotes at the beginning, and what follows it.
fn quoted(script: &str) -> (String, &str) {
    let (mut text, mut letters) = (
        String::new(),
        script.strip_prefix('\'').unwrap().char_indices().peekable(),
    );
    while let Some((at, c)) = letters.next() {
        if matches!(c, '\'' | '\u{2018}'..='\u{201b}') && letters.next_if(|(_, next)| *next == c).is_none() {
            return (text, &script[1 + at + c.len_utf8()..]);
        }
        text.push(c);
    }
    panic!("a text without an end: {script}");
}

fn variable(script: &str, name: &str) -> Option<String> {
    let start = format!("\n{name} = '");
    let at = script.find(&start)? + start.len() - 1;
    Some(quoted(&script[at..]).0)
}

/// As the loader and what it loads would read it.
fn read(sent: &str) -> Asked {
    assert!(sent.is_ascii(), "not ASCII: {sent}");
    let mut lines = sent.lines();
    let mut script = unescaped(lines.next().unwrap());
    let user = variable(&script, "$mosdat_user");
    if user.is_some() {
        script = unescaped(&variable(&script, "$mosdat_work").unwrap());
    }
    let (mut env, mut input) = (BTreeMap::new(), None);
    for line in lines {
        let line = unescaped(line);
        let (name, value) = line.split_once('=').unwrap();
        // Windows may log what runs, and does where it has such words in it.
        assert!(value.len() < 6 || !script.contains(value), "in the script: {line}");
        match name {
            "" => input = Some(value.to_string()),
            name => drop(env.insert(name.to_string(), value.to_string())),
        }
    }
    Asked {
        user,
        env,
        input,
        of_scenario: script.contains("\n$mosdat_fault = 1\n"),
        text: variable(&script, "$mosdat_text").unwrap(),
    }
}

fn says(code: i64, out: impl Into<String>) -> Answer {
    Some((code, out.into(), String::new()))
}

fn complains(code: i64, err: impl Into<String>) -> Answer {
    Some((code, String::new(), err.into()))
}

/// In the script's words, the one of them that no other has.
fn answer(world: &mut World, asked: &Asked) -> Answer {
    if let Some(user) = &asked.user {
        match user.as_str() {
            "SYSTEM" => {}
            USER | "tester" if world.nobody => return complains(127, "mosdat-bootstrap: session\n"),
            USER | "tester" => {
                if let Some(why) = &world.no_task {
                    return complains(127, format!("mosdat-bootstrap: broken Task-Scheduler {why}\n"));
                }
            }
            "other" => return complains(127, "mosdat-bootstrap: session\n"),
            _ => return complains(127, "mosdat-bootstrap: user\n"),
        }
    }
    let env = |name: &str| {
        asked
            .env
            .get(name)
            .map(String::as_str)
            .unwrap_or_else(|| panic!("no {name}: {asked:?}"))
    };
    let is = |words: &str| asked.text.contains(words);
    let of_session = |answer: Answer| {
        assert_eq!(
            asked.user.as_deref(),
            Some(USER),
            "it needs the desktop: {}",
            asked.text
        );
        answer
    };
    let home = |path: &str| match path.strip_prefix("~/") {
        Some(rest) => format!("C:\\Users\\tester\\{}", rest.replace('/', "\\")),
        None => path.to_string(),
    };
    if let Some(answer) = world.commands.get(&asked.text) {
        return answer.clone();
    }
    if let Some(why) = world.broken.as_ref().filter(|_| !asked.of_scenario) {
        return complains(99, why);
    }
    if is("MOSDAT_LEADER") {
        return match world.nobody {
            true => says(3, ""),
            false => says(
                0,
                format!(
                    "MOSDAT_USER={USER}\nMOSDAT_LEADER=explorer.exe\nMOSDAT_ABOUT_system=Microsoft Windows 11 Pro\n\
                     MOSDAT_ABOUT_kernel=Windows 10.0.22631 64-bit\nMOSDAT_ABOUT_memory=8191 MiB\n"
                ),
            ),
        };
    }
    if is("a process of this name runs") {
        let name = env("name").trim_end_matches(".exe");
        return says(
            (!world.processes.iter().any(|p| p.eq_ignore_ascii_case(name))).into(),
            "",
        );
    }
    if is("GetActiveTcpListeners") {
        let port = u16::from_str_radix(env("port"), 16).unwrap();
        return says((!world.ports.contains(&port)).into(), "");
    }
    if is("Prints at most $env:most bytes of a file") {
        return of_session(match world.files.get(&home(env("file"))) {
            Some(content) => says(0, String::from_utf8_lossy(content)),
            None => says(3, ""),
        });
    }
    if is("Windows whose title contains") {
        let before: Vec<&str> = env("before").split(' ').collect();
        let wanted = env("title").to_lowercase();
        let windows = world.windows.iter().enumerate();
        let found: Vec<String> = windows
            .filter(|(i, (title, _))| {
                title.to_lowercase().contains(&wanted) && !before.contains(&format!("{i}:7").as_str())
            })
            .map(|(i, (_, [x, y, w, h]))| match env("print") {
                "where" => format!("x {x} y {y} w {w} h {h}\n"),
                "which" => format!("{i}:7\n"),
                _ => String::new(),
            })
            .collect();
        return of_session(says(found.is_empty().into(), found.concat()));
    }
    if is("$mosdat_supervisor = ") {
        if variable(&format!("\n{}", asked.text), "$mosdat_file")
            .unwrap()
            .contains("missing")
        {
            return of_session(complains(
                99,
                "no program missing in PATH=C:\\Windows, and none that is registered by that name",
            ));
        }
        world.windows.extend(world.shows.take());
        return of_session(says(
            0,
            "99000001 C:\\Users\\tester\\AppData\\Local\\Temp\\mosdat-app.1234abcd\n",
        ));
    }
    if is("Whether the program of the folder") {
        assert_eq!(env("pid_of"), "99000001");
        return match &world.ended {
            None => says(0, "running\n"),
            Some((code, said)) => Some((0, format!("ended {}\n", *code as i32), said.clone())),
        };
    }
    if is("[Mosdat.Native]::BeneathPointer()\n") {
        return of_session(says(0, "7\r\nDemo\r\n"));
    }
    if is("Puts $mosdat_input into the clipboard") {
        world.clipboard = asked.input.clone().unwrap();
        return of_session(says(0, ""));
    }
    if is("The clipboard's text") {
        return of_session(says(0, world.clipboard.clone()));
    }
    if is("elements of the UI Automation tree") {
        return of_session(match &world.tree {
            Some(tree) => says(0, tree.clone()),
            None => complains(4, "Could not load file or assembly"),
        });
    }
    if is("Makes the folder of a file") {
        if env("owner") != USER {
            return complains(3, "no user");
        }
        let path = home(env("file"));
        world.files.insert(format!("{path}.new"), Vec::new());
        return says(0, format!("{path}.new\n{path}"));
    }
    if is("FromBase64String") {
        let data = base64::engine::general_purpose::STANDARD
            .decode(asked.input.as_ref().unwrap())
            .unwrap();
        world.files.get_mut(env("new")).unwrap().extend(data);
        return says(0, "");
    }
    if is("[System.IO.File]::Move($env:new, $env:file)") {
        let content = world.files.remove(env("new")).unwrap();
        world.files.insert(env("file").to_string(), content);
        return says(0, "");
    }
    if is("What files are like now") {
        let marks = env("paths").lines().map(home).map(|path| match world.files.get(&path) {
            Some(content) => format!("{} 638000000000000000 sum {path}\n", content.len()),
            None => format!("0 - - {path}\n"),
        });
        return says(0, format!("begin 638000000000000001\n{}", marks.collect::<String>()));
    }
    if is("what was written to a file since it was looked at") {
        let path = home(env("file"));
        let marks = asked.input.as_ref().unwrap();
        let mark = marks
            .lines()
            .find(|line| line.ends_with(&path))
            .map(|line| line.split(' ').next().unwrap());
        return match (world.files.get(&path), mark) {
            (None, _) => says(3, ""),
            (Some(_), None) => says(6, ""),
            (Some(content), Some(mark)) => says(0, String::from_utf8_lossy(&content[mark.parse::<usize>().unwrap()..])),
        };
    }
    if is("Which start this is") {
        return says(0, format!("wininit.exe {} 2026-01-01T00:00:00\n", 500 + world.boots));
    }
    if is("shutdown.exe /r") {
        world.boots += 1;
        return says(0, "");
    }
    if is("Installs $env:package") {
        return match world.installers.get(env("package")).cloned() {
            None => says(3, ""),
            Some(None) => says(4, ""),
            Some(Some((name, version, code))) if [0, 3010].contains(&code) => {
                world.installed.insert(name.clone(), version.clone());
                says(
                    0,
                    format!("{name}\n{version}\n{}", if code == 0 { "" } else { "restart\n" }),
                )
            }
            Some(Some((.., 7777))) => says(7, ""),
            Some(Some((.., 7778))) => complains(8, "Demo App, Demo\n"),
            Some(Some((.., code))) => {
                let kind = if env("package").ends_with(".msi") {
                    "msi"
                } else {
                    "nsis"
                };
                let why = format!("the installer ({kind}) ended with exit code {code}\n");
                Some((5, format!("{kind} {code}\n"), why))
            }
        };
    }
    if is("Removes the program that is installed") {
        return match world.installed.remove(env("name")) {
            Some(version) => says(0, format!("{}\n{version}\n", env("name"))),
            None => says(3, ""),
        };
    }
    if is("What a person would look at first") {
        return says(
            0,
            format!(
                "{0}processes\n4 0 session 0 System\n{0}crashes\nFaulting module demo.dll\n",
                env("mark")
            ),
        );
    }
    if asked.text == "exit 0" {
        return says(0, "");
    }
    // As PowerShell says of a word that it does not know.
    complains(1, format!("The term '{}' is not recognized", asked.text))
}

async fn exec(State(windows): State<Arc<Windows>>, body: String) -> Response {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let all = |name: &str| {
        form.iter()
            .filter(|(k, _)| k == name)
            .map(|(_, v)| v.clone())
            .collect::<Vec<_>>()
    };
    let (line, input) = (all("command"), all("input-data").concat());
    windows.lines.lock().unwrap().push(line.clone());
    let pid = {
        let mut count = windows.count.lock().unwrap();
        *count += 1;
        4000 + *count
    };
    let answer = match line[0].as_str() {
        "powershell.exe" => {
            let asked = read(&input);
            windows.asked.lock().unwrap().push(asked.clone());
            answer(&mut windows.world.lock().unwrap(), &asked)
        }
        "taskkill.exe" => {
            let killed: u64 = line.last().unwrap().parse().unwrap();
            windows.running.lock().unwrap().insert(killed, says(1, ""));
            says(0, "SUCCESS")
        }
        other => panic!("there is no {other} in Windows"),
    };
    windows.running.lock().unwrap().insert(pid, answer);
    json!({"data": {"pid": pid}}).to_string().into_response()
}

async fn status(State(windows): State<Arc<Windows>>, Query(query): Query<HashMap<String, String>>) -> Response {
    let pid: u64 = query["pid"].parse().unwrap();
    let mut running = windows.running.lock().unwrap();
    let answer = match running.get(&pid) {
        None => {
            let body = json!({"data": null, "message": format!("Agent error: PID {pid} does not exist\n")}).to_string();
            return (StatusCode::INTERNAL_SERVER_ERROR, body).into_response();
        }
        Some(None) => json!({"exited": 0}),
        Some(Some((code, out, err))) => {
            let mut answer = json!({"exited": 1, "out-data": out, "err-data": err});
            // As the agent tells it (qga/commands.c): from 0xC0000000 on it is a "signal".
            let wide = (*code as u32) >= 0xC000_0000;
            answer[if wide { "signal" } else { "exitcode" }] = json!(*code as i32);
            running.remove(&pid);
            answer
        }
    };
    json!({"data": answer}).to_string().into_response()
}

impl Windows {
    /// A guest with this in it.
    pub async fn start(world: World) -> (AgentGuest, Arc<Windows>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let windows = Arc::new(Windows {
            world: Mutex::new(world),
            ..Windows::default()
        });
        let router = Router::new()
            .route("/api2/json/nodes/lab/qemu/100/agent/exec", post(exec))
            .route("/api2/json/nodes/lab/qemu/100/agent/exec-status", get(status))
            .with_state(windows.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = Client::new(Config {
            endpoints: vec![url.parse().unwrap()],
            auth: Auth::Token {
                id: "a@pve!b".into(),
                secret: SecretString::from("s"),
            },
            tls: Tls::SystemRoots,
            timeout: Duration::from_secs(5),
        });
        (
            AgentGuest::new(client.unwrap(), "lab".into(), 100, System::Windows),
            windows,
        )
    }

    /// The last script, and what it was asked with.
    #[allow(dead_code)]
    pub fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().unwrap().clone()
    }

    /// That no command line says anything but what it always says: whoever lists the processes sees no value.
    pub fn check_lines(&self) {
        let lines = self.lines.lock().unwrap();
        let starts: Vec<&Vec<String>> = lines.iter().filter(|line| line[0] == "powershell.exe").collect();
        assert!(!starts.is_empty());
        for line in &starts {
            assert_eq!(line, &starts[0]);
        }
        let script = base64::engine::general_purpose::STANDARD
            .decode(starts[0].last().unwrap())
            .unwrap();
        let units: Vec<u16> = script.chunks(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
        let script = String::from_utf16(&units).unwrap();
        assert!(script.contains("@($input)") && !script.contains("$env:"), "{script}");
        for line in lines.iter().filter(|line| line[0] != "powershell.exe") {
            assert_eq!(line[..4], ["taskkill.exe", "/T", "/F", "/PID"], "{line:?}");
        }
    }
}
