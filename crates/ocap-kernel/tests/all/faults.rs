//! A vat that loops or fills its memory costs its caller an error, and nobody else anything.

use ocap_kernel::VatCondition;
use serde_json::json;

use crate::house::{COUNTER, House, ask, assert_sound};

#[tokio::test]
async fn an_endless_loop_ends_as_an_error_and_others_go_on() {
    let house = House::new();
    let kernel = house.start().await;
    let looper = house.launch_one(&kernel, COUNTER).await;
    let other = house.launch_one(&kernel, COUNTER).await;
    assert_eq!(ask(&kernel, looper, "increment", json!([])).await, "#1");
    let spinning = kernel.clone();
    let spin = tokio::spawn(async move { ask(&spinning, looper, "spin", json!([])).await });
    for count in 1..=50 {
        let answer = ask(&kernel, other, "increment", json!([])).await;
        assert_eq!(answer, format!("#{count}"));
    }
    let answer = spin.await.unwrap();
    assert!(answer.starts_with("[KERNEL:VAT_FATAL:OVERRUN]"), "{answer}");
    // A new incarnation took over, with its baggage.
    assert_eq!(ask(&kernel, looper, "increment", json!([])).await, "#2");
    let status = kernel.status().await.unwrap();
    assert_eq!(status.vats[0].faults, 1);
    assert_eq!(status.vats[0].condition, VatCondition::Running);
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
    // The loop is not delivered again.
    let kernel = house.start().await;
    assert_eq!(ask(&kernel, looper, "increment", json!([])).await, "#3");
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn running_out_of_memory_ends_as_an_error() {
    let house = House::new();
    let kernel = house.start().await;
    let root = house.launch_one(&kernel, COUNTER).await;
    let answer = ask(&kernel, root, "fill", json!([])).await;
    assert!(answer.starts_with("[KERNEL:VAT_FATAL:OUT_OF_MEMORY]"), "{answer}");
    assert_eq!(ask(&kernel, root, "increment", json!([])).await, "#1");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}
