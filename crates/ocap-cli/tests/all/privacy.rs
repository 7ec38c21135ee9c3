//! What others do not get to see.

use serde_json::json;

use crate::rig::Home;

#[test]
fn no_message_body_reaches_the_log() {
    for level in ["info", "trace"] {
        let home = Home::new();
        home.files.prepare().unwrap();
        std::fs::write(home.files.config(), format!("[log]\nlevel = \"{level}\"\n")).unwrap();
        home.start();
        let root = home.launch_counter();
        let secret = "tell-nobody-4711";
        assert!(home.ask(&root, "echo", json!([secret])).contains(secret));
        assert!(home.ask(&root, "pingOther", json!([secret])).contains("ping"));
        // Errors that a vat sends are logged for `debug`, and this one names the method.
        let method = if level == "info" { secret } else { "unknown" };
        let _ = home.ask(&root, method, json!([secret]));
        let _ = home.ask("ko999", "echo", json!([secret]));
        home.stop();
        let log = home.log();
        assert!(log.contains("Stopped."), "{log}");
        assert!(!log.contains(secret), "{level}: {log}");
    }
}
