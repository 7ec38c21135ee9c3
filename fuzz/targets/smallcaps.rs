//! Bodies from outside, through the kernel's codec.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocap_types::capdata::CapData;
use ocap_types::refs::KRef;
use ocap_types::smallcaps;

fuzz_target!(|text: &str| {
    let slots: Vec<KRef> = ["ko1", "kp2", "ko3"].iter().map(|slot| slot.parse().unwrap()).collect();
    let data = CapData { body: text.to_owned(), slots };
    let _ = smallcaps::error_message(&data);
    let _ = smallcaps::single_reference(&data);
    let _ = smallcaps::decode_message(&data);
    let Ok(value) = smallcaps::decode(&data) else { return };
    // What was understood is written in one way, and means the same.
    let written = smallcaps::encode(&value);
    let again = smallcaps::decode(&written).unwrap();
    assert_eq!(smallcaps::encode(&again), written);
});
