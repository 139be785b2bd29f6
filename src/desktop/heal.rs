//! Opening the link anew: with a new ticket, after growing pauses, until the session's time for it is over.

use std::time::{Duration, Instant};

use super::Error;
use super::command::Command;
use super::link::{Dial, Link};
use super::task::{End, Task};

/// The pause before the first new attempt, doubled for each further one up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A link that was open for so long was a good one.
const LIVED: Duration = Duration::from_secs(10);

fn pause(attempt: u32) -> Duration {
    (FIRST_PAUSE * 2u32.saturating_pow(attempt.min(16))).min(LONGEST_PAUSE)
}

impl Task {
    /// Opens the link anew after `why`; the end of the session if that cannot be done in time or the session is closed
    /// meanwhile. Input that was under way has failed: nobody knows how much of it has arrived.
    pub(super) async fn reopen(&mut self, why: Error) -> Result<(), End> {
        let Some(dial) = self.dial.clone() else {
            return Err(End::Failed(why));
        };
        let first = why.to_string();
        self.fail_input(|sent, of| Error::Interrupted {
            sent,
            of,
            reason: first.clone(),
        });
        self.link.hang_up();
        let lost_at = Instant::now();
        // A link that opens and dies before it has shown anything is the same trouble as one that does not open.
        if self.opened.elapsed() >= LIVED {
            self.trouble = None;
        }
        let (since, before) = self.trouble.unwrap_or((lost_at, 0));
        self.shared.update(|s| s.lost = true);
        let mut last = why;
        for attempt in before.. {
            if since.elapsed() >= self.options.heal {
                break;
            }
            self.trouble = Some((since, attempt + 1));
            match self.attempt(&dial, pause(attempt), &last).await? {
                Ok(link) => {
                    let offline = lost_at.elapsed();
                    tracing::info!(?offline, reason = %last, "the VNC link is open again");
                    self.shared.update(|s| {
                        s.lost = false;
                        s.link.reopened += 1;
                        s.link.offline += offline;
                    });
                    self.start_anew(link);
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(End::Failed(Error::Lost {
            after: self.options.heal,
            reason: match last.to_string() {
                last if last == first => first,
                last => format!("{last}; it had died because: {first}"),
            },
        }))
    }

    /// One attempt, after a pause. Meanwhile commands are taken and those whose time is over get their answer.
    async fn attempt(&mut self, dial: &Dial, pause: Duration, trouble: &Error) -> Result<Result<Link, Error>, End> {
        let (dial, options) = (dial.clone(), self.options.clone());
        let opening = async move {
            tokio::time::sleep(pause).await;
            let late = Error::Timeout {
                what: "opening a stream to the VNC server",
                after: options.connect_timeout,
            };
            let dialled = tokio::time::timeout(options.connect_timeout, dial()).await;
            let (stream, auth) = dialled.map_err(|_| late)?.map_err(|reason| Error::Dial { reason })?;
            Link::open(stream, &auth, &options).await
        };
        tokio::pin!(opening);
        loop {
            let wake = self.next_answer();
            tokio::select! {
                opened = &mut opening => return Ok(opened),
                command = self.commands.recv() => match command {
                    // Nobody would know which link they went to.
                    Some(Command::Send { done, .. } | Command::Clipboard { done, .. }) => {
                        let reason = trouble.to_string();
                        let _ = done.send(Err(Error::Interrupted { sent: 0, of: 1, reason }));
                    }
                    // What was decided by a picture of before the outage is not done to whatever is shown after it.
                    Some(Command::Input { script, done }) => {
                        let reason = trouble.to_string();
                        let of = script.len();
                        let _ = done.send(Err(Error::Interrupted { sent: 0, of, reason }));
                    }
                    command => {
                        if let Some(end) = self.take_command(command) {
                            return Err(end);
                        }
                    }
                },
                () = tokio::time::sleep_until(wake.into()) => self.drop_late(Instant::now(), Some(trouble)),
            }
        }
    }

    /// When somebody has to be told that there is no picture in time.
    fn next_answer(&self) -> Instant {
        let waiters = self.asked.iter().chain(&self.waiting).map(|w| w.deadline);
        waiters
            .chain(self.watchers.iter().map(|w| w.deadline))
            .min()
            .unwrap_or_else(|| Instant::now() + LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        assert_eq!(pause(0), FIRST_PAUSE);
        assert_eq!(pause(2), FIRST_PAUSE * 4);
        assert_eq!(pause(1000), LONGEST_PAUSE);
    }
}
