//! `mosdat visual`: making and checking reference images.

use super::exit;
use crate::desktop::{Frame, Rect};
use crate::scenario::{Area, AreaKind, MARGIN, Reference, SIMILARITY, Variant};
use crate::vision::{self, Cascade, Located, Ocr, Outcome, References, Target, Vision, Wanted, models};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["capture", "check"]))]
pub struct Args {
    /// Make a reference from a picture of a whole screen: NAME.png and NAME.yaml.
    #[arg(long, value_name = "NAME", requires_all = ["from", "area"])]
    capture: Option<String>,
    /// Compare a reference with a picture of a screen.
    #[arg(long, num_args = 2, value_names = ["NAME", "SHOT.png"])]
    check: Option<Vec<String>>,

    /// Folder of the references; those in its folder `references` are found too.
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,
    /// The picture to make a reference from, such as one of a run's pictures or of `mosdat vnc shot`.
    #[arg(long, value_name = "SHOT.png", requires = "capture")]
    from: Option<PathBuf>,
    /// An area that has to look so; may be given several times.
    #[arg(long, value_name = "X,Y,W,H", value_parser = place, requires = "capture")]
    area: Vec<[u32; 4]>,
    /// A part of the areas that does not count; may be given several times.
    #[arg(long, value_name = "X,Y,W,H", value_parser = place, requires = "capture")]
    exclude: Vec<[u32; 4]>,
    /// An area that has to show a text; may be given several times.
    #[arg(long, value_name = "X,Y,W,H=TEXT", value_parser = text, requires = "capture")]
    text: Vec<([u32; 4], String)>,
    /// Where a click goes; else the middle of the last area.
    #[arg(long, value_name = "X,Y", value_parser = point, requires = "capture")]
    click: Option<(u32, u32)>,
    /// How far the areas may have moved, in pixels.
    #[arg(long, default_value_t = MARGIN, requires = "capture")]
    margin: u32,
    /// How similar the areas have to be, up to 1.
    #[arg(long, default_value_t = SIMILARITY, requires = "capture")]
    similarity: f64,
    /// Only for screens as large as the picture: makes NAME@1280x800.
    #[arg(long, requires = "capture")]
    this_size: bool,
    /// Write over a reference that is there.
    #[arg(long, requires = "capture")]
    replace: bool,
    /// Over the whole screen, not only at its place.
    #[arg(long, requires = "check")]
    anywhere: bool,
    /// Where it does not fit: write a picture of what was expected, what is there, and the difference.
    #[arg(long, value_name = "FILE.png", requires = "check")]
    difference: Option<PathBuf>,
}

pub async fn run(args: Args) -> anyhow::Result<u8> {
    match (&args.capture, &args.check) {
        (Some(name), ..) => capture(name, &args).await,
        (_, Some(words)) => match words.as_slice() {
            [name, shot] => check(name, Path::new(shot), &args).await,
            _ => anyhow::bail!("--check takes a name and a picture"),
        },
        _ => anyhow::bail!("nothing to do"),
    }
}

fn numbers<const N: usize>(text: &str, form: &str) -> Result<[u32; N], String> {
    let all: Result<Vec<u32>, _> = text.split(',').map(|n| n.trim().parse()).collect();
    all.ok()
        .and_then(|all| all.try_into().ok())
        .ok_or_else(|| format!("write it as {form}, whole numbers of pixels"))
}

fn place(text: &str) -> Result<[u32; 4], String> {
    numbers(text, "X,Y,W,H")
}

fn point(text: &str) -> Result<(u32, u32), String> {
    numbers(text, "X,Y").map(|[x, y]| (x, y))
}

fn text(text: &str) -> Result<([u32; 4], String), String> {
    let (area, words) = text.split_once('=').ok_or("write it as X,Y,W,H=TEXT")?;
    Ok((place(area)?, words.to_string()))
}

/// What is wrong with what was given; no VM ran.
fn invalid(message: impl std::fmt::Display) -> u8 {
    eprintln!("{message}");
    exit::INVALID
}

fn shot(path: &Path) -> Result<(Vec<u8>, Frame), String> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {}", path.display(), super::plain(&e.to_string())))?;
    match image::load_from_memory_with_format(&bytes, image::ImageFormat::Png) {
        Ok(image) => Ok((bytes, Frame::from_image(image.into_rgba8()))),
        Err(e) => Err(format!("{}: not a PNG picture: {e}", path.display())),
    }
}

async fn capture(name: &str, args: &Args) -> anyhow::Result<u8> {
    let from = args.from.as_deref().unwrap_or(Path::new(""));
    let (png, frame) = match shot(from) {
        Ok(read) => read,
        Err(message) => return Ok(invalid(message)),
    };
    let area = |[x, y, width, height]: [u32; 4], kind: AreaKind| Area {
        x,
        y,
        width,
        height,
        kind,
    };
    let (margin, similarity) = (args.margin, args.similarity);
    let matches = args
        .area
        .iter()
        .map(|a| area(*a, AreaKind::Match { margin, similarity }));
    let excluded = args.exclude.iter().map(|a| area(*a, AreaKind::Exclude));
    let texts = args
        .text
        .iter()
        .map(|(a, text)| area(*a, AreaKind::Ocr { text: text.clone() }));
    let size = (frame.width(), frame.height());
    let variant = Variant {
        display: args.this_size.then_some(size),
        png,
        size,
        areas: matches.chain(texts).chain(excluded).collect(),
        click: args.click,
        digest: String::new(),
    };
    let reference = Reference {
        name: name.to_string(),
        variants: vec![variant],
    };
    if let Err(errors) = reference.check() {
        return Ok(invalid(errors));
    }
    let key = reference.key(&reference.variants[0]);
    let files = ["png", "yaml"].map(|end| args.folder.join(format!("{key}.{end}")));
    if let Some(there) = files.iter().find(|f| f.exists() && !args.replace) {
        return Ok(invalid(format!(
            "{} is there already; --replace writes over it",
            there.display()
        )));
    }
    let made = Arc::new(vision::Reference::new(&reference)?);
    if !args.text.is_empty()
        && let Some(why) = unshown(&made, &frame, &args.text).await?
    {
        return Ok(invalid(why));
    }
    if let Some(folder) = files[0].parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let [picture, sidecar] = &files;
    std::fs::write(picture, &reference.variants[0].png)
        .with_context(|| format!("cannot write {}", picture.display()))?;
    std::fs::write(sidecar, reference.variants[0].sidecar())
        .with_context(|| format!("cannot write {}", sidecar.display()))?;
    println!("wrote {} and {}", picture.display(), sidecar.display());

    // What it is worth: with itself it must fit, and best in one place only.
    match made.look(&frame, true) {
        Ok(Outcome::Several(all)) => {
            let places: Vec<String> = all.iter().map(|m| format!("{},{}", m.rect.x, m.rect.y)).collect();
            println!(
                "it fits equally well in {} places of this screen ({}): at its place the nearest is taken, anywhere it is ambiguous",
                all.len(),
                places.join(" and ")
            );
        }
        Ok(_) => {}
        Err(_) if args.area.is_empty() => {}
        Err(_) => println!("its areas are plain: their colours are compared, and they cannot be looked for anywhere"),
    }
    Ok(exit::PASSED)
}

async fn ocr() -> anyhow::Result<Arc<Ocr>> {
    let models = models::default_dir();
    Ok(Arc::new(
        tokio::task::spawn_blocking(move || Ocr::load(&models)).await??,
    ))
}

/// Why the picture does not show its own texts, as a run would read it; a reference of it would fit nowhere.
async fn unshown(
    made: &Arc<vision::Reference>,
    frame: &Frame,
    texts: &[([u32; 4], String)],
) -> anyhow::Result<Option<String>> {
    let reader = ocr().await?;
    let target = Target {
        reference: Some(Wanted {
            reference: made.clone(),
            anywhere: false,
        }),
        presence: true,
        ..Target::default()
    };
    let why = match References(reader.clone()).locate(frame, &target).await? {
        Located::Found(_) | Located::Ambiguous { .. } => return Ok(None),
        Located::NotFound { reason, .. } => reason,
    };
    let mut told = format!("--text: the picture does not show what the reference would ask for: {why}");
    for ([x, y, width, height], text) in texts {
        let lines = reader.read(frame, Some(Rect::new(*x, *y, *width, *height)))?;
        let read: Vec<String> = lines.iter().map(|line| format!("'{}'", line.text)).collect();
        let read = if read.is_empty() {
            "nothing".to_string()
        } else {
            read.join(", ")
        };
        told += &format!("\n  {x},{y},{width},{height}={text}: there is {read}");
    }
    Ok(Some(told))
}

async fn check(name: &str, path: &Path, args: &Args) -> anyhow::Result<u8> {
    let reference = match Reference::read(&args.folder, name) {
        Ok(reference) => reference,
        Err(errors) => return Ok(invalid(errors)),
    };
    let (_, frame) = match shot(path) {
        Ok(read) => read,
        Err(message) => return Ok(invalid(message)),
    };
    let has_text = |v: &Variant| v.areas.iter().any(|a| matches!(a.kind, AreaKind::Ocr { .. }));
    let reader: Arc<dyn Vision> = match reference.variants.iter().any(has_text) {
        true => ocr().await?,
        false => Arc::new(Cascade(Vec::new())),
    };
    let made = Arc::new(vision::Reference::new(&reference)?);
    let target = Target {
        reference: Some(Wanted {
            reference: made.clone(),
            anywhere: args.anywhere,
        }),
        presence: true,
        ..Target::default()
    };
    let why = match References(reader).locate(&frame, &target).await {
        Ok(Located::Found(hit)) => {
            println!(
                "{}: fits at {},{} ({}x{}), similarity {:.3}, click at {},{}",
                hit.matched,
                hit.rect.x,
                hit.rect.y,
                hit.rect.width,
                hit.rect.height,
                hit.confidence,
                hit.point.x,
                hit.point.y
            );
            return Ok(exit::PASSED);
        }
        Ok(Located::Ambiguous { hits }) => {
            for hit in &hits {
                println!(
                    "{}: fits at {},{}, similarity {:.3}",
                    hit.matched, hit.rect.x, hit.rect.y, hit.confidence
                );
            }
            format!("{name} fits in {} places equally well", hits.len())
        }
        Ok(Located::NotFound { reason, .. }) => reason,
        // A reference for other screens, or a plain one anywhere.
        Err(vision::Error::Target(why)) => return Ok(invalid(why)),
        Err(e) => return Err(e.into()),
    };
    println!("{why}");
    let explained = made.explain(&frame, &frame, args.anywhere)?;
    if let Some(m) = explained.elsewhere {
        println!(
            "it fits at {},{}, moved by {}, {}: more than its margin",
            m.rect.x, m.rect.y, m.moved.0, m.moved.1
        );
    }
    if let Some(path) = &args.difference {
        let png = Frame::from_image(explained.difference).png()?;
        std::fs::write(path, png).with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}: expected, seen, difference", path.display());
    }
    Ok(exit::FAILED)
}
