//! Lines through a Unix socket to a vat and back.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Instant;

use ocap_kernel::Kernel;
use ocap_types::KRef;

use crate::report::{Report, Row};
use crate::rig::{self, Rig};
use crate::sample::{median, per_second, rate};
use crate::{Failure, process};

/// Bytes of a line, with its newline.
const LINE_BYTES: usize = 100;

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "lines of 100 bytes through a Unix socket to a vat and back: a million (how much the kernel's memory grew)",
        reference: "-",
        aim: "50,000 per s (nothing)",
    };
    report.add(row, measure(rig)).await;
}

async fn measure(rig: &Rig) -> Result<String, Failure> {
    let home = rig.home()?;
    let kernel = rig.with_channels(&home).await?;
    let root = rig.launch_with_socket(&kernel, rig.echo()?, "line.sock").await?.root;
    let count = rig.scaled(1_000_000, 50_000);
    let mut rates = Vec::new();
    let before = process::private_kib(std::process::id())?;
    for _ in 0..rig.runs() {
        let start = Instant::now();
        pass(&kernel, root, &home.join("line.sock"), count).await?;
        rates.push(rate(count, start.elapsed()));
    }
    let grown = process::private_kib(std::process::id())?.saturating_sub(before);
    kernel.stop().await?;
    Ok(format!("{} ({} MiB)", per_second(median(&rates)), grown / 1024))
}

/// Sends lines and checks that each comes back, in order.
async fn pass(kernel: &Kernel, root: KRef, socket: &Path, count: u32) -> Result<(), Failure> {
    let stream = UnixStream::connect(socket)?;
    let reader = BufReader::new(stream.try_clone()?);
    let sending = thread::spawn(move || send(stream, count));
    let receiving = thread::spawn(move || receive(reader, count));
    rig::number(kernel, root, "echo", vec![count.into()]).await?;
    let gone = || Failure::from("a thread of the benchmark ended badly");
    receiving.join().map_err(|_| gone())??;
    // Kept open until here: the kernel lets a client go that has ended and takes nothing.
    drop(sending.join().map_err(|_| gone())??);
    Ok(())
}

fn line(number: u32) -> String {
    format!("{number:0>width$}\n", width = LINE_BYTES - 1)
}

fn send(stream: UnixStream, count: u32) -> std::io::Result<UnixStream> {
    let mut writer = BufWriter::with_capacity(64 << 10, stream);
    for number in 0..count {
        writer.write_all(line(number).as_bytes())?;
    }
    writer.into_inner().map_err(std::io::IntoInnerError::into_error)
}

fn receive(mut reader: BufReader<UnixStream>, count: u32) -> Result<(), Failure> {
    let mut received = String::new();
    for number in 0..count {
        received.clear();
        reader.read_line(&mut received)?;
        if received != line(number) {
            return Err(format!("line {number} came back as {received:?}").into());
        }
    }
    Ok(())
}
