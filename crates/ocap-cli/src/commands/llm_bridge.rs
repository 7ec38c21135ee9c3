//! `ocap llm-bridge`: between a matcher and a language model.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ocap_daemon::Home;
use ocap_llm::{Bridge, BridgeOptions, Client, Endpoint, Key, Model};

use crate::args::seconds;
use crate::commands::matcher;
use crate::failure::Failure;

/// Where the reference's gateway listens.
const DEFAULT_URL: &str = "http://127.0.0.1:18789";

/// What the reference asks it for.
const DEFAULT_MODEL: &str = "openclaw";

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct LlmBridge {
    /// The matcher's socket [default: $LLM_BRIDGE_SOCKET, else the one of the home's matcher]
    #[arg(value_name = "SOCKET")]
    socket: Option<PathBuf>,
    /// An OpenAI-compatible endpoint [default: $OPENCLAW_GATEWAY_URL, else http://127.0.0.1:18789]
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The model [default: $OPENCLAW_AGENT_MODEL, else openclaw]
    #[arg(long)]
    model: Option<String>,
    /// A file with the endpoint's key [default: $OCAP_LLM_KEY, else $OPENCLAW_GATEWAY_TOKEN, else none]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Seconds one request to the model may take
    #[arg(long, value_name = "S", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Append everything the model is asked and says to a file
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    record: Option<PathBuf>,
    /// Answer from such a file instead of asking a model
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Log whole requests and replies, with whatever people ask for
    #[arg(long)]
    log_bodies: bool,
}

impl LlmBridge {
    /// Serves the matcher until the process ends.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let socket =
            self.socket.clone().or_else(|| variable("LLM_BRIDGE_SOCKET").map(PathBuf::from));
        let socket = socket.unwrap_or_else(|| home.root().join(matcher::SOCKET));
        let model = self.model()?;
        Bridge::new(BridgeOptions { socket, model, logs_bodies: self.log_bodies }).run()
    }

    fn model(&self) -> Result<Model, Failure> {
        let or = |given: &Option<String>, name: &str, default: &str| {
            given.clone().or_else(|| variable(name)).unwrap_or_else(|| default.to_owned())
        };
        let name = or(&self.model, "OPENCLAW_AGENT_MODEL", DEFAULT_MODEL);
        if let Some(path) = &self.replay {
            return Model::on_tape(path, &name)
                .map_err(|error| Failure::new(format!("{}: {error}", path.display())));
        }
        let base = or(&self.base_url, "OPENCLAW_GATEWAY_URL", DEFAULT_URL);
        let mut endpoint = Endpoint::new(&base, &name, self.key()?).map_err(told)?;
        endpoint.time_max = self.timeout.unwrap_or(endpoint.time_max);
        let model = Model::of(Client::new(endpoint));
        match &self.record {
            Some(path) => model
                .recorded(path)
                .map_err(|error| Failure::new(format!("{}: {error}", path.display()))),
            None => Ok(model),
        }
    }

    fn key(&self) -> Result<Option<Key>, Failure> {
        if let Some(path) = &self.key_file {
            return Key::read(path).map(Some).map_err(told);
        }
        let text = variable("OCAP_LLM_KEY").or_else(|| variable("OPENCLAW_GATEWAY_TOKEN"));
        text.map(|text| Key::new(&text)).transpose().map_err(told)
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the shape `map_err` wants")]
fn told(error: ocap_llm::EndpointError) -> Failure {
    Failure::new(error.to_string())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
