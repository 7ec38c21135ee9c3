//! The kernel service `languageModelService`: vats talk to the model that the operator has chosen.
//!
//! The main item in this module is [`LanguageModel`]. The endpoint, its
//! key and how much each cluster may use are the operator's; vats see none of them. What is used is
//! counted for each subcluster and day (UTC) in memory: a restart of the kernel begins anew.

mod places;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ocap_kernel::{KernelService, ServiceCall, ServiceReply};
use ocap_llm::{Client, Endpoint, EndpointError, Key};
use ocap_types::passable::Passable;
use ocap_types::{KRef, SubclusterId};
use serde_json::{Map, Value, json};

use crate::limits;
use crate::settings::LanguageModelSettings;
use places::{Admitted, Places};

/// The name clusters ask for.
pub const SERVICE: &str = "languageModelService";

/// What a chat may say. `stream` is among them because clients send it; a stream cannot cross.
const PARAMETERS: &[&str] = &[
    "model",
    "messages",
    "tools",
    "tool_choice",
    "max_tokens",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "n",
    "stream",
];

/// Why there can be no such service.
#[derive(Debug, thiserror::Error)]
#[error("[language_model]: {0}")]
pub struct LanguageModelError(String);

/// The service.
pub struct LanguageModel {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    settings: LanguageModelSettings,
    used: Mutex<Used>,
    places: Places,
}

/// What was used on one day.
#[derive(Default)]
struct Used {
    day: u64,
    by: BTreeMap<Payer, Usage>,
}

/// Whose budget a chat is of. The host has one of its own.
type Payer = Option<SubclusterId>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Usage {
    requests: u64,
    tokens: u64,
}

impl LanguageModel {
    /// The service of these settings. Nothing is sent yet.
    ///
    /// # Errors
    /// If the endpoint is none, or the key cannot be read.
    pub fn new(settings: LanguageModelSettings) -> Result<LanguageModel, LanguageModelError> {
        let wrong = |error: EndpointError| LanguageModelError(error.to_string());
        let key = match (&settings.key_file, &settings.key_env) {
            (Some(_), Some(_)) => {
                return Err(LanguageModelError("give key_file or key_env, not both".to_owned()));
            }
            (Some(path), None) => Some(Key::read(path).map_err(wrong)?),
            (None, Some(name)) => {
                let text = std::env::var(name).map_err(|_| {
                    LanguageModelError(format!("the environment has no variable {name}"))
                })?;
                Some(Key::new(&text).map_err(wrong)?)
            }
            (None, None) => None,
        };
        let mut endpoint =
            Endpoint::new(&settings.base_url, &settings.model, key).map_err(wrong)?;
        if let Some(seconds) = settings.timeout_s {
            endpoint.time_max = Duration::from_secs(seconds.max(1));
        }
        let shared = Shared {
            client: Client::new(endpoint),
            settings,
            used: Mutex::default(),
            places: Places::new(),
        };
        Ok(LanguageModel { shared: Arc::new(shared) })
    }
}

impl KernelService for LanguageModel {
    fn call(&self, call: ServiceCall, reply: ServiceReply) {
        let ServiceCall { method, args, caller, subcluster, .. } = call;
        match method.as_str() {
            "chat" => {
                let shared = Arc::clone(&self.shared);
                if caller.is_some() && subcluster.is_none() {
                    return reply.reject("the vat that asked has ended");
                }
                let begun = shared
                    .request(args.first())
                    .and_then(|request| Ok((request, shared.places.admit(subcluster)?)));
                tokio::spawn(async move {
                    let outcome = match begun {
                        Ok((request, admitted)) => shared.chat(request, subcluster, admitted).await,
                        Err(problem) => Err(problem),
                    };
                    match outcome {
                        Ok(answer) => reply.fulfil(&Passable::from_json(answer)),
                        Err(problem) => reply.reject(problem),
                    }
                });
            }
            "sample" => reply.reject("raw sampling not supported by this backend"),
            _ => reply.reject(format!("{SERVICE} has the methods chat and sample, and no others")),
        }
    }
}

impl Shared {
    /// The body of a request, out of what a vat wants.
    fn request(&self, params: Option<&Passable<KRef>>) -> Result<Value, String> {
        let plain = params.and_then(Passable::to_json);
        let Some(Value::Object(mut params)) = plain else {
            return Err("chat takes a record of plain data: { messages, ... }".to_owned());
        };
        if let Some(unknown) = params.keys().find(|key| !PARAMETERS.contains(&key.as_str())) {
            let unknown: String = unknown.chars().take(limits::QUOTED_CHARS_MAX).collect();
            return Err(format!("chat knows no {unknown:?}; there are {}", PARAMETERS.join(", ")));
        }
        let is_streamed = params.remove("stream");
        if is_streamed.is_some_and(|stream| stream == Value::Bool(true)) {
            return Err("an answer cannot be streamed to a vat; leave out stream".to_owned());
        }
        self.check_model(&mut params)?;
        let messages = params.get("messages").and_then(Value::as_array);
        let Some(messages) = messages.filter(|messages| !messages.is_empty()) else {
            return Err("messages must be an array with at least one message".to_owned());
        };
        for message in messages {
            let role = message.get("role").and_then(Value::as_str);
            if !matches!(role, Some("system" | "user" | "assistant" | "tool")) {
                return Err("each message has a role: system, user, assistant or tool".to_owned());
            }
        }
        Ok(Value::Object(params))
    }

    fn check_model(&self, params: &mut Map<String, Value>) -> Result<(), String> {
        let settings = &self.settings;
        match params.get("model") {
            None | Some(Value::Null) => {
                params.insert("model".to_owned(), Value::String(settings.model.clone()));
                Ok(())
            }
            Some(Value::String(name)) => {
                let known = *name == settings.model || settings.other_models.contains(name);
                if known { Ok(()) } else { Err(self.models()) }
            }
            Some(_) => Err(self.models()),
        }
    }

    fn models(&self) -> String {
        let LanguageModelSettings { model, other_models, .. } = &self.settings;
        let mut names = vec![model.as_str()];
        names.extend(other_models.iter().map(String::as_str));
        format!("the models here are {}; without a model it is {model}", names.join(", "))
    }

    async fn chat(
        &self,
        request: Value,
        payer: Payer,
        admitted: Admitted,
    ) -> Result<Value, String> {
        self.begin(payer, today())?;
        let _place = admitted.place().await?;
        let client = self.client.clone();
        let length = request.to_string().len();
        let asked = tokio::task::spawn_blocking(move || client.complete(&request)).await;
        let answer = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::warn!(?payer, "a chat failed: {}", error.summary());
                return Err(error.to_string());
            }
            Err(error) => return Err(format!("the chat broke off: {error}")),
        };
        let tokens = answer["usage"]["total_tokens"].as_u64();
        self.finish(payer, tokens.unwrap_or_else(|| estimate(length + answer.to_string().len())));
        Ok(stripped(&answer))
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request, if there is still something to be used.
    fn begin(&self, payer: Payer, day: u64) -> Result<(), String> {
        let mut used = self.used();
        if used.day != day {
            *used = Used { day, by: BTreeMap::new() };
        }
        let usage = used.by.entry(payer).or_default();
        let over = |what: &str, used: u64, most: Option<u64>| match most {
            Some(most) if used >= most => Err(format!(
                "the budget of this cluster is used up: {used} of {most} {what} today (UTC); there \
                 is more tomorrow, or when the operator raises it in config.toml"
            )),
            _ => Ok(()),
        };
        over("requests", usage.requests, self.settings.requests_per_day)?;
        over("tokens", usage.tokens, self.settings.tokens_per_day)?;
        usage.requests += 1;
        Ok(())
    }

    fn finish(&self, payer: Payer, tokens: u64) {
        let mut used = self.used();
        let usage = used.by.entry(payer).or_default();
        usage.tokens = usage.tokens.saturating_add(tokens);
    }
}

/// Days since 1970.
fn today() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() / (24 * 60 * 60)
}

/// Tokens in so many bytes, where an endpoint does not tell: four to one is usual.
fn estimate(bytes: usize) -> u64 {
    bytes as u64 / 4
}

/// What of an answer is part of the interface.
fn stripped(answer: &Value) -> Value {
    let choices = answer["choices"].as_array().into_iter().flatten();
    let choices: Vec<Value> = choices
        .enumerate()
        .map(|(place, choice)| {
            let message = &choice["message"];
            let mut kept = Map::new();
            for key in ["role", "content", "tool_calls"] {
                if let Some(value) = message.get(key) {
                    kept.insert(key.to_owned(), value.clone());
                }
            }
            let index = choice.get("index").cloned().unwrap_or_else(|| json!(place));
            json!({"message": kept, "index": index, "finish_reason": choice["finish_reason"]})
        })
        .collect();
    let mut whole = Map::new();
    for key in ["id", "model", "usage"] {
        if let Some(value) = answer.get(key) {
            whole.insert(key.to_owned(), value.clone());
        }
    }
    whole.insert("choices".to_owned(), Value::Array(choices));
    Value::Object(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> LanguageModelSettings {
        LanguageModelSettings {
            base_url: "http://127.0.0.1:1".into(),
            model: "small".into(),
            other_models: vec!["large".into()],
            key_file: None,
            key_env: None,
            timeout_s: None,
            requests_per_day: Some(2),
            tokens_per_day: Some(100),
        }
    }

    fn service(settings: LanguageModelSettings) -> Arc<Shared> {
        LanguageModel::new(settings).unwrap().shared
    }

    fn request(params: Value) -> Result<Value, String> {
        service(settings()).request(Some(&Passable::from_json(params)))
    }

    #[test]
    fn a_chat_names_the_model_or_gets_the_one_there_is() {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let chat = request(json!({"messages": messages, "stream": false, "n": 1})).unwrap();
        assert_eq!(chat, json!({"messages": messages, "model": "small", "n": 1}));
        let chat = request(json!({"messages": messages, "model": "large"})).unwrap();
        assert_eq!(chat["model"], "large");
        let problem = request(json!({"messages": messages, "model": "huge"})).unwrap_err();
        assert_eq!(problem, "the models here are small, large; without a model it is small");
    }

    #[test]
    fn what_is_no_chat_is_refused() {
        let messages = json!([{"role": "user", "content": "hi"}]);
        for (params, problem) in [
            (json!(5), "a record of plain data"),
            (json!({}), "messages must be an array"),
            (json!({"messages": []}), "at least one message"),
            (json!({"messages": [{"role": "boss"}]}), "each message has a role"),
            (json!({"messages": messages, "key": "x"}), "chat knows no \"key\""),
            (json!({"messages": messages, "stream": true}), "cannot be streamed"),
        ] {
            let said = request(params.clone()).unwrap_err();
            assert!(said.contains(problem), "{params}: {said}");
        }
        assert!(service(settings()).request(None).is_err());
    }

    #[test]
    fn each_cluster_has_its_budget_for_a_day() {
        let service = service(settings());
        let (one, two) = (Some(SubclusterId(1)), Some(SubclusterId(2)));
        service.begin(one, 7).unwrap();
        service.begin(one, 7).unwrap();
        let problem = service.begin(one, 7).unwrap_err();
        assert!(problem.contains("2 of 2 requests today"), "{problem}");
        service.begin(two, 7).unwrap();
        service.finish(two, 100);
        let problem = service.begin(two, 7).unwrap_err();
        assert!(problem.contains("100 of 100 tokens today"), "{problem}");
        service.begin(two, 8).unwrap();
        service.begin(None, 8).unwrap();
    }

    #[test]
    fn answers_are_stripped_to_the_interface() {
        let message = json!({"role": "assistant", "content": "hi", "refusal": null});
        let answer = json!({"id": "c", "object": "o", "model": "m", "usage": {"total_tokens": 1},
            "choices": [{"message": message, "finish_reason": "stop", "logprobs": null}]});
        let wanted = json!({"id": "c", "model": "m", "usage": {"total_tokens": 1}, "choices": [
            {"message": {"role": "assistant", "content": "hi"}, "index": 0, "finish_reason": "stop"},
        ]});
        assert_eq!(stripped(&answer), wanted);
    }

    #[test]
    fn settings_that_cannot_work_are_refused_at_once() {
        let wrong = |change: fn(&mut LanguageModelSettings)| {
            let mut settings = settings();
            change(&mut settings);
            match LanguageModel::new(settings) {
                Ok(_) => panic!("accepted"),
                Err(error) => error.to_string(),
            }
        };
        assert!(wrong(|s| s.base_url = "nowhere".into()).contains("base URL"));
        assert!(wrong(|s| s.key_file = Some("/no/such/key".into())).contains("cannot read"));
        assert!(wrong(|s| s.key_env = Some("OCAP_NO_SUCH_KEY".into())).contains("no variable"));
    }
}
