//! `mosdat vnc`: the desktop session by hand.

mod address;
mod watch;

use super::exit;
use crate::desktop::{Button, Desktop, Effect, Error, Point, Wheel, parse_chord};
use address::To;
use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Write a picture of the screen to a PNG file.
    Shot {
        #[command(flatten)]
        to: To,
        /// The file, PNG whatever its name; `-` is standard output.
        #[arg(long, short, value_name = "FILE.png")]
        output: PathBuf,
        /// Wait until the picture is still (a blinking text cursor aside), at most this long, more than 0.4.
        #[arg(long, value_name = "SECONDS")]
        settle: Option<f64>,
        /// Draw the mouse pointer, where the server tells what it looks like and where it is.
        #[arg(long)]
        cursor: bool,
    },
    /// Type a text.
    Type {
        #[command(flatten)]
        to: To,
        /// The text; `-` reads it from standard input without its last line's end, which keeps it out of the process list.
        text: String,
        /// Chord pressed afterwards, such as enter.
        #[arg(long, value_name = "CHORD")]
        then: Option<String>,
        #[command(flatten)]
        after: After,
    },
    /// Press keys or chords, such as enter, f5 or ctrl+shift+t, one after the other.
    Key {
        #[command(flatten)]
        to: To,
        /// The chords.
        #[arg(required = true)]
        chords: Vec<String>,
        /// How long each is held.
        #[arg(long, value_name = "SECONDS")]
        hold: Option<f64>,
        #[command(flatten)]
        after: After,
    },
    /// Click at a place.
    Click {
        #[command(flatten)]
        to: To,
        #[command(flatten)]
        at: At,
        /// Which button.
        #[arg(long, default_value = "left")]
        button: ButtonName,
        /// How often; 2 is a double click.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10))]
        count: u32,
        /// Keys held meanwhile, such as ctrl.
        #[arg(long, value_name = "KEY", value_delimiter = ',')]
        holding: Vec<String>,
        #[command(flatten)]
        after: After,
    },
    /// Move the pointer to a place.
    Move {
        #[command(flatten)]
        to: To,
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        after: After,
    },
    /// Press a button at one place, and release it at another.
    Drag {
        #[command(flatten)]
        to: To,
        #[command(flatten)]
        at: At,
        /// Pixels from the left, of the other place.
        to_x: u32,
        /// Pixels from the top, of the other place.
        to_y: u32,
        /// Which button.
        #[arg(long, default_value = "left")]
        button: ButtonName,
        #[command(flatten)]
        after: After,
    },
    /// Turn the wheel at a place.
    Scroll {
        #[command(flatten)]
        to: To,
        #[command(flatten)]
        at: At,
        /// How far: down, or up if it is negative.
        #[arg(allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-100..=100))]
        notches: i32,
        /// To the right instead of down, or to the left.
        #[arg(long)]
        horizontal: bool,
        #[command(flatten)]
        after: After,
    },
    /// Print where the screen changes, until Ctrl-C.
    Watch {
        #[command(flatten)]
        to: To,
        /// End after this time.
        #[arg(long = "for", value_name = "SECONDS")]
        limit: Option<f64>,
        /// Folder for a picture of each change, named by its number.
        #[arg(long, short, value_name = "FOLDER")]
        output: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct After {
    /// Write a picture of what came of it to a PNG file.
    #[arg(long, short, value_name = "FILE.png")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::Args)]
struct At {
    /// Pixels from the left.
    x: u32,
    /// Pixels from the top.
    y: u32,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum ButtonName {
    Left,
    Middle,
    Right,
}

impl From<ButtonName> for Button {
    fn from(name: ButtonName) -> Button {
        match name {
            ButtonName::Left => Button::Left,
            ButtonName::Middle => Button::Middle,
            ButtonName::Right => Button::Right,
        }
    }
}

/// What the caller gave is wrong, and nothing was touched.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Invalid(String);

fn invalid(what: &str) -> anyhow::Error {
    Invalid(what.to_string()).into()
}

/// How long an effect on the screen is waited for.
const EFFECT: Duration = Duration::from_millis(1500);
/// How long a picture has to be still.
const QUIET: Duration = Duration::from_millis(400);

pub async fn run(args: Args) -> anyhow::Result<u8> {
    match carry_out(args.command).await {
        Ok(()) => Ok(exit::PASSED),
        Err(e) if e.is::<Invalid>() => {
            eprintln!("mosdat: {}", super::told(&e));
            Ok(exit::INVALID)
        }
        Err(e) => Err(e),
    }
}

async fn carry_out(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Shot {
            to,
            output,
            settle,
            cursor,
        } => {
            let settle = settle.map(duration).transpose()?;
            if settle.is_some_and(|most| most <= QUIET) {
                return Err(invalid(
                    "--settle: a picture is still after 0.4 s without a change; give more",
                ));
            }
            writable(&output)?;
            shot(&to.open(false).await?, &output, settle, cursor).await
        }
        Command::Type { to, text, then, after } => {
            let text = SecretString::from(if text == "-" { from_stdin()? } else { text });
            Desktop::typeable(text.expose_secret()).map_err(|e| invalid(&e.to_string()))?;
            then.iter().try_for_each(|chord| known(chord))?;
            let hands = Hands::open(&to, after).await?;
            let desktop = &hands.desktop;
            let act = async {
                desktop.type_secret(&text).await?;
                match &then {
                    Some(chord) => desktop.key(chord).await,
                    None => Ok(()),
                }
            };
            hands.act(act).await
        }
        Command::Key {
            to,
            chords,
            hold,
            after,
        } => {
            chords.iter().try_for_each(|chord| known(chord))?;
            let hold = hold.map(duration).transpose()?;
            let hands = Hands::open(&to, after).await?;
            let desktop = &hands.desktop;
            let act = async {
                for chord in &chords {
                    match hold {
                        Some(time) => desktop.hold(chord, time).await?,
                        None => desktop.key(chord).await?,
                    }
                }
                Ok(())
            };
            hands.act(act).await
        }
        Command::Click {
            to,
            at,
            button,
            count,
            holding,
            after,
        } => {
            holding.iter().try_for_each(|key| known(key))?;
            let hands = Hands::open(&to, after).await?;
            let at = hands.go(at).await?;
            let act = hands.desktop.click_holding(at, button.into(), count, &holding);
            hands.act(act).await
        }
        Command::Move { to, at, after } => {
            let hands = Hands::open(&to, after).await?;
            let at = hands.place(at)?;
            hands.act(hands.desktop.move_to(at)).await
        }
        Command::Drag {
            to,
            at,
            to_x,
            to_y,
            button,
            after,
        } => {
            let hands = Hands::open(&to, after).await?;
            let end = hands.place(At { x: to_x, y: to_y })?;
            let at = hands.go(at).await?;
            hands.act(hands.desktop.drag(at, end, button.into())).await
        }
        Command::Scroll {
            to,
            at,
            notches,
            horizontal,
            after,
        } => {
            let hands = Hands::open(&to, after).await?;
            let at = hands.go(at).await?;
            let wheel = if horizontal { Wheel::Horizontal } else { Wheel::Vertical };
            hands.act(hands.desktop.scroll(at, wheel, notches)).await
        }
        Command::Watch { to, limit, output } => {
            let limit = limit.map(duration).transpose()?;
            watch::watch(&to.open(false).await?, limit, output.as_deref()).await
        }
    }
}

fn from_stdin() -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .context("reading standard input")?;
    let text = String::from_utf8(bytes).map_err(|_| invalid("standard input is no UTF-8 text"))?;
    let text = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
    Ok(text.to_string())
}

fn known(chord: &str) -> anyhow::Result<()> {
    parse_chord(chord).map(drop).map_err(|e| invalid(&e.to_string()))
}

/// A desktop to act on, and where the picture of what came of it goes.
struct Hands {
    desktop: Desktop,
    after: After,
}

impl Hands {
    /// Opens the session, once it is sure that the picture can be written.
    async fn open(to: &To, after: After) -> anyhow::Result<Hands> {
        after.output.iter().try_for_each(|output| writable(output))?;
        let desktop = to.open(true).await?;
        Ok(Hands { desktop, after })
    }

    fn place(&self, at: At) -> anyhow::Result<Point> {
        let (width, height) = self.desktop.size();
        match at.x < width && at.y < height {
            true => Ok(Point::new(at.x, at.y)),
            false => Err(invalid(&format!(
                "{},{} is outside of the screen, which is {width}x{height}",
                at.x, at.y
            ))),
        }
    }

    /// Moves there before anything is looked at: that the pointer comes is no effect of what it does there.
    async fn go(&self, at: At) -> anyhow::Result<Point> {
        let at = self.place(at)?;
        self.desktop.move_to(at).await?;
        Ok(at)
    }

    /// Does it, and says what came of it.
    async fn act(&self, action: impl Future<Output = Result<(), Error>>) -> anyhow::Result<()> {
        let sent = std::cell::Cell::new(false);
        let action = async {
            action.await?;
            sent.set(true);
            Ok(())
        };
        let seen = self.desktop.observed(EFFECT, action).await;
        let seen = seen.map_err(|e| match sent.get() {
            true => anyhow::Error::new(e).context("all input was sent, and whether it has arrived is not known"),
            false => e.into(),
        })?;
        match seen.effect {
            Effect::Confirmed(change) => println!("confirmed: the screen changed{}", at(Some(change))),
            Effect::Unverifiable(moving) => println!(
                "unverifiable: the screen changes by itself{}, and nothing else changed",
                at(Some(moving))
            ),
            Effect::SuspectedNoop => println!("suspected noop: nothing on the screen changed"),
        }
        if let Some(output) = &self.after.output {
            write(output, &seen.after.png()?)?;
            println!("{}: {}x{}", output.display(), seen.after.width(), seen.after.height());
        }
        self.desktop.clone().close().await;
        Ok(())
    }
}

async fn shot(desktop: &Desktop, output: &Path, settle: Option<Duration>, cursor: bool) -> anyhow::Result<()> {
    let frame = match settle {
        None => desktop.capture().await?,
        Some(most) => {
            let settled = desktop.settle(QUIET, most).await?;
            if !settled.still {
                eprintln!("the picture kept moving{}", at(settled.moving));
            }
            settled.frame
        }
    };
    if cursor && frame.pointer().is_none() {
        eprintln!("where the mouse pointer is, the server does not tell; it is not drawn");
    }
    let png = if cursor { frame.png_with_cursor()? } else { frame.png()? };
    write(output, &png)?;
    if output != Path::new("-") {
        println!(
            "{}: {}x{}, {}",
            output.display(),
            frame.width(),
            frame.height(),
            desktop.name()
        );
    }
    Ok(())
}

fn at(place: Option<crate::desktop::Rect>) -> String {
    place.map_or(String::new(), |r| {
        format!(" at {}x{}+{}+{}", r.width, r.height, r.x, r.y)
    })
}

fn duration(seconds: f64) -> anyhow::Result<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| invalid(&format!("{seconds} is no number of seconds")))
}

/// Makes sure that a file can be written, before anything is done whose picture it is to hold.
fn writable(path: &Path) -> anyhow::Result<()> {
    if path == Path::new("-") {
        return Ok(());
    }
    // A link that leads nowhere is there, too: it is somebody's.
    let there = path.symlink_metadata().is_ok();
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|e| invalid(&format!("writing {}: {e}", path.display())))?;
    if !there {
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if path == Path::new("-") {
        return std::io::stdout()
            .write_all(bytes)
            .context("writing the picture to standard output");
    }
    std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}
