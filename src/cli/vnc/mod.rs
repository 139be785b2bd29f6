//! `mosdat vnc`: the desktop session by hand.

mod address;

use super::{exit, shutdown_signal};
use crate::desktop::{Button, Desktop, Effect, Observed, Point, parse_chord};
use address::To;
use anyhow::Context;
use secrecy::SecretString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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
        /// The file.
        #[arg(long, short, value_name = "FILE.png")]
        output: PathBuf,
        /// Wait until the picture is still, at most this long.
        #[arg(long, value_name = "SECONDS")]
        settle: Option<f64>,
        /// Draw the mouse pointer, where the server tells what it looks like.
        #[arg(long)]
        cursor: bool,
    },
    /// Type a text.
    Type {
        #[command(flatten)]
        to: To,
        /// The text; `-` reads it from standard input, which keeps it out of the process list.
        text: String,
        #[command(flatten)]
        then: Then,
    },
    /// Press a key or chord, such as enter, f5 or ctrl+shift+t.
    Key {
        #[command(flatten)]
        to: To,
        /// The chord.
        chord: String,
        #[command(flatten)]
        then: Then,
    },
    /// Click at a place.
    Click {
        #[command(flatten)]
        to: To,
        /// Pixels from the left.
        x: u32,
        /// Pixels from the top.
        y: u32,
        /// Which button.
        #[arg(long, default_value = "left")]
        button: ButtonName,
        /// How often; 2 is a double click.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10))]
        count: u32,
        #[command(flatten)]
        then: Then,
    },
    /// Print where the screen changes, until Ctrl-C.
    Watch {
        #[command(flatten)]
        to: To,
        /// End after this time.
        #[arg(long = "for", value_name = "SECONDS")]
        limit: Option<f64>,
        /// Folder for a picture of each change.
        #[arg(long, short, value_name = "FOLDER")]
        output: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Then {
    /// Write a picture of what came of it to a PNG file.
    #[arg(long, short, value_name = "FILE.png")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum ButtonName {
    Left,
    Middle,
    Right,
}

/// How long an effect on the screen is waited for.
const EFFECT: Duration = Duration::from_millis(1500);

pub async fn run(args: Args) -> anyhow::Result<u8> {
    match args.command {
        Command::Shot {
            to,
            output,
            settle,
            cursor,
        } => shot(&to.open().await?, &output, settle, cursor).await?,
        Command::Type { to, text, then } => {
            let text = match text.as_str() {
                "-" => {
                    let mut text = String::new();
                    std::io::stdin()
                        .read_to_string(&mut text)
                        .context("reading standard input")?;
                    text.strip_suffix('\n').map(str::to_string).unwrap_or(text)
                }
                _ => text,
            };
            let (desktop, text) = (to.open().await?, SecretString::from(text));
            let seen = desktop.observed(EFFECT, desktop.type_secret(&text)).await?;
            tell(desktop, seen, then).await?;
        }
        Command::Key { to, chord, then } => {
            if let Err(e) = parse_chord(&chord) {
                return Ok(invalid(&e.to_string()));
            }
            let desktop = to.open().await?;
            let seen = desktop.observed(EFFECT, desktop.key(&chord)).await?;
            tell(desktop, seen, then).await?;
        }
        Command::Click {
            to,
            x,
            y,
            button,
            count,
            then,
        } => {
            let desktop = to.open().await?;
            let (width, height) = desktop.size();
            if x >= width || y >= height {
                let what = format!("{x},{y} is outside of the screen, which is {width}x{height}");
                return Ok(invalid(&what));
            }
            let button = match button {
                ButtonName::Left => Button::Left,
                ButtonName::Middle => Button::Middle,
                ButtonName::Right => Button::Right,
            };
            let seen = desktop
                .observed(EFFECT, desktop.click(Point::new(x, y), button, count))
                .await?;
            tell(desktop, seen, then).await?;
        }
        Command::Watch { to, limit, output } => watch(&to.open().await?, limit, output.as_deref()).await?,
    }
    Ok(exit::PASSED)
}

/// Says what is wrong with what the caller gave.
fn invalid(what: &str) -> u8 {
    eprintln!("mosdat: {what}");
    exit::INVALID
}

async fn shot(desktop: &Desktop, output: &Path, settle: Option<f64>, cursor: bool) -> anyhow::Result<()> {
    let frame = match settle {
        None => desktop.capture().await?,
        Some(seconds) => {
            let settled = desktop.settle(Duration::from_millis(400), duration(seconds)?).await?;
            if !settled.still {
                eprintln!("the picture kept moving{}", at(settled.moving));
            }
            settled.frame
        }
    };
    let png = if cursor { frame.png_with_cursor()? } else { frame.png()? };
    write(output, &png)?;
    println!(
        "{}: {}x{}, {}",
        output.display(),
        frame.width(),
        frame.height(),
        desktop.name()
    );
    Ok(())
}

async fn tell(desktop: Desktop, seen: Observed, then: Then) -> anyhow::Result<()> {
    match seen.effect {
        Effect::Confirmed(change) => println!("confirmed: the screen changed{}", at(Some(change))),
        Effect::Unverifiable(moving) => println!(
            "unverifiable: the screen changes by itself{}, and nothing else changed",
            at(Some(moving))
        ),
        Effect::SuspectedNoop => println!("suspected noop: nothing on the screen changed"),
    }
    if let Some(output) = then.output {
        write(&output, &seen.after.png()?)?;
        println!("{}: {}x{}", output.display(), seen.after.width(), seen.after.height());
    }
    desktop.close().await;
    Ok(())
}

async fn watch(desktop: &Desktop, limit: Option<f64>, output: Option<&Path>) -> anyhow::Result<()> {
    let start = Instant::now();
    let limit = limit.map(duration).transpose()?;
    if let Some(folder) = output {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let mut version = desktop.capture().await?.version;
    let mut end = std::pin::pin!(shutdown_signal());
    let mut number = 0;
    loop {
        let left = limit.map_or(Duration::from_secs(3600), |l| l.saturating_sub(start.elapsed()));
        if left.is_zero() {
            return Ok(());
        }
        let change = tokio::select! {
            change = desktop.painted_since(version, left) => change?,
            _ = &mut end => return Ok(()),
        };
        let Some((place, next)) = change else { continue };
        version = next;
        number += 1;
        println!("{:8.3}s  {number:5}{}", start.elapsed().as_secs_f64(), at(Some(place)));
        if let Some(folder) = output {
            let frame = desktop.capture().await?;
            version = frame.version;
            write(&folder.join(format!("{number:05}.png")), &frame.png()?)?;
        }
    }
}

fn at(place: Option<crate::desktop::Rect>) -> String {
    place.map_or(String::new(), |r| {
        format!(" at {}x{}+{}+{}", r.width, r.height, r.x, r.y)
    })
}

fn duration(seconds: f64) -> anyhow::Result<Duration> {
    Duration::try_from_secs_f64(seconds).with_context(|| format!("{seconds} is no number of seconds"))
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}
