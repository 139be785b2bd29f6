//! The ways into the guest, for promises that each of them keeps.

use super::api::{self, Api};
use super::sshd::Sshd;
use mosdat::guest::Guest;
use std::sync::Arc;

/// A guest that is this machine.
pub struct Way {
    pub guest: Arc<dyn Guest>,
    far: Far,
}

enum Far {
    Agent(Arc<Api>),
    Ssh(Sshd),
}

pub async fn agent() -> Way {
    let (guest, api) = api::guest().await;
    Way {
        guest: Arc::new(guest),
        far: Far::Agent(api),
    }
}

pub async fn ssh() -> Way {
    let sshd = Sshd::start().await;
    Way {
        guest: Arc::new(sshd.guest()),
        far: Far::Ssh(sshd),
    }
}

impl Way {
    /// Where the guest's programs are from now on.
    pub fn set_path(&self, path: &str) {
        match &self.far {
            Far::Agent(api) => *api.path.lock().unwrap() = Some(path.to_string()),
            Far::Ssh(sshd) => {
                sshd.configure(&format!("SetEnv PATH={path}"));
                sshd.kill();
            }
        }
    }
}

/// Makes two tests of each function: one with the guest agent, one with SSH.
macro_rules! both {
    ($($promise:ident),+ $(,)?) => {
        $(mod $promise {
            #[tokio::test(flavor = "multi_thread")]
            async fn agent() {
                super::$promise(crate::ways::agent().await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn ssh() {
                super::$promise(crate::ways::ssh().await).await;
            }
        })+
    };
}
