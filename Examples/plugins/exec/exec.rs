// SPDX-License-Identifier: MIT

//! The mode "exec": a command prints where the nodes are, one `host[:port]` in each line.
//!
//!     -disco-mode exec -disco-config '{"command": "/usr/local/bin/peers --cluster a"}'
//!
//! At the deadline, or when the host gives the call up, the command is killed with its children.
//! Rust 1.63, edition 2021, no crates: the interface of rqlite_disco.h is written out first.
use std::fmt::Display;
use std::io::Read;
use std::os::raw::{c_int, c_short, c_ulong, c_void};
use std::os::unix::{io::AsRawFd, process::CommandExt};
use std::process::{Child, Command, Stdio};
use std::{mem::size_of, panic, panic::AssertUnwindSafe, ptr, slice, str};

#[repr(C)] #[derive(Clone, Copy)] pub struct Text { data: *const u8, length: u64 } // or bytes
#[repr(C)] pub struct Call { size: u32, cancel_fd: c_int, ctx: *mut c_void, deadline_ns: u64 }
#[repr(C)] pub struct Address {
    size: u32, port: u32, host: Text, source: Text,
    priority: u32, weight: u32, ttl_s: u32, reserved: u32,
}
#[repr(C)] pub struct Sink {
    size: u32, reserved: u32, ctx: *mut c_void,
    message: extern "C" fn(&Sink, Text) -> i32,
    address: extern "C" fn(&Sink, &Address) -> i32,
}
#[repr(C)] pub struct CreateArgs { size: u32, reserved: u32, mode: Text, key: Text, config: Text }
type Resolve = extern "C" fn(&Instance, &Call, &Sink) -> i32;
#[repr(C)] pub struct Resolver { size: u32, reserved: u32, resolve: Resolve }
#[repr(C)] pub struct Mode { size: u32, role: u32, name: Text }
#[repr(C)] pub struct Plugin {
    size: u32, abi_major: u32, abi_minor: u32, abi_minor_needed: u32,
    id: Text, version: Text, vendor: Text, url: Text, license: Text,
    modes: *const &'static Mode, mode_count: u32, reserved: u32, config_schema: Text,
    create: extern "C" fn(&Plugin, *const c_void, &CreateArgs, &Sink, &mut *mut Instance) -> i32,
    destroy: extern "C" fn(*mut Instance),
    get_interface: extern "C" fn(&Instance, Text) -> *const Resolver,
}
unsafe impl Sync for Mode {}
unsafe impl Sync for Plugin {}
#[repr(C)] pub struct Note { head: [u32; 3], name: [u8; 8], desc: [u32; 4], mode: [u8; 36] }
#[used] #[link_section = ".note.rqdisco"]
pub static NOTE: Note = Note {
    head: [8, 52, 1], name: *b"rqdisco\0", desc: [1, 0, 0, 1],
    mode: *b"exec\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
};

const fn text(s: &str) -> Text { Text { data: s.as_ptr(), length: s.len() as u64 } }

static MODE: Mode = Mode { size: size_of::<Mode>() as u32, role: 1, name: text("exec") };
static MODES: [&Mode; 1] = [&MODE];
static RESOLVER: Resolver = Resolver { size: size_of::<Resolver>() as u32, reserved: 0, resolve };
static PLUGIN: Plugin = Plugin {
    size: size_of::<Plugin>() as u32, abi_major: 1, abi_minor: 0, abi_minor_needed: 0,
    id: text("org.example.exec"), version: text("1.0.0"), vendor: text("Example"), url: text(""),
    license: text("MIT"), modes: MODES.as_ptr(), mode_count: 1, reserved: 0,
    config_schema: text(r#"{"type": "object", "required": ["command"]}"#),
    create, destroy, get_interface,
};

#[no_mangle]
pub extern "C" fn rqlite_disco_entry(host_major: u32, _: u32) -> *const Plugin {
    if host_major == 1 { &PLUGIN } else { ptr::null() }
}

type Failure = (i32, String); // a status but RQD_OK, and what the operator has to know
const CONFIG: i32 = 3;
const UNAVAILABLE: i32 = 4;
const TIMEOUT: i32 = 6;
const CANCELLED: i32 = 7;
const PROTOCOL: i32 = 8;

/// No panic may cross the boundary.
fn answer(sink: &Sink, work: impl FnOnce() -> Result<(), Failure>) -> i32 {
    let panicked = || Err((10, "a defect of the plugin".to_string()));
    match panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| panicked()) {
        Ok(()) => 0,
        Err((code, why)) => { (sink.message)(sink, text(&why)); code }
    }
}

pub struct Instance { command: Vec<String> }

extern "C" fn create(
    _: &Plugin, _: *const c_void, args: &CreateArgs, sink: &Sink, instance: &mut *mut Instance,
) -> i32 {
    answer(sink, || {
        let bytes = match args.config.length {
            0 => &[],
            length => unsafe { slice::from_raw_parts(args.config.data, length as usize) },
        };
        let wrong = || (CONFIG, concat!(
            r#"the configuration must be {"command": "/path/of/program argument …"}, words without "#,
            "quotes and backslashes; command is the only member").to_string());
        let command = str::from_utf8(bytes).ok().and_then(parse).ok_or_else(wrong)?;
        *instance = Box::into_raw(Box::new(Instance { command }));
        Ok(())
    })
}

extern "C" fn destroy(instance: *mut Instance) { drop(unsafe { Box::from_raw(instance) }) }

extern "C" fn get_interface(_: &Instance, id: Text) -> *const Resolver {
    let id = unsafe { slice::from_raw_parts(id.data, id.length as usize) };
    if id == b"rqd.resolver/1" { &RESOLVER } else { ptr::null() }
}

/// The words of {"command": "/a b c"}: one member is no reason for a JSON parser.
fn parse(config: &str) -> Option<Vec<String>> {
    let tokens = ["{", "\"command\"", ":", "\""];
    let start = tokens.iter().try_fold(config, |s, token| s.trim_start().strip_prefix(*token))?;
    let (command, end) = start.split_once('"')?;
    let is_whole = end.trim_start().strip_prefix('}')?.trim().is_empty();
    let words = command.split_whitespace().map(str::to_string).collect();
    (is_whole && command.starts_with('/') && !command.contains('\\')).then(|| words)
}

extern "C" fn resolve(instance: &Instance, call: &Call, sink: &Sink) -> i32 {
    answer(sink, || {
        let program = &instance.command[0];
        let named = |(code, what)| (code, format!("{}: {}", program, what));
        let output = run(&instance.command, call).map_err(named)?;
        for line in output.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let wrong = || (PROTOCOL, format!("{} printed {:?}, not host[:port]", program, line));
            let (host, port) = split(line).ok_or_else(wrong)?;
            let address = Address {
                size: size_of::<Address>() as u32, port, host: text(host), source: text(program),
                priority: 0, weight: 0, ttl_s: 0, reserved: 0,
            };
            if (sink.address)(sink, &address) != 0 { return Err(wrong()) }
        }
        Ok(())
    })
}

/// Host and port of "10.0.0.7", "node-1:4002" or "[2001:db8::7]:4002"; 0: the asking node's own port.
fn split(line: &str) -> Option<(&str, u32)> {
    let port = |digits: &str| digits.parse::<u16>().ok().filter(|port| *port > 0).map(u32::from);
    match line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => Some((host, 0)),
        Some((host, rest)) => Some((host, port(rest.strip_prefix(':')?)?)),
        None => match line.split_once(':') {
            Some((host, digits)) if !digits.contains(':') => Some((host, port(digits)?)),
            _ => Some((line, 0)),
        },
    }
}

extern "C" {
    fn poll(sources: *mut Source, count: c_ulong, milliseconds: c_int) -> c_int;
    fn kill(process: c_int, signal: c_int) -> c_int;
    fn setpgid(process: c_int, group: c_int) -> c_int;
    fn clock_gettime(clock: c_int, time: &mut [i64; 2]) -> c_int;
}
#[repr(C)] pub struct Source { descriptor: c_int, events: c_short, seen: c_short }

/// Waits some milliseconds at most. Whether `descriptor` can be read.
fn wait(descriptor: c_int, milliseconds: u64, call: &Call) -> Result<bool, Failure> {
    let source = |descriptor| Source { descriptor, events: 1, seen: 0 };
    let (mut sources, mut now) = ([source(descriptor), source(call.cancel_fd)], [0i64; 2]);
    unsafe { clock_gettime(1, &mut now) };
    let left = call.deadline_ns.saturating_sub((now[0] * 1_000_000_000 + now[1]) as u64) / 1_000_000;
    unsafe { poll(sources.as_mut_ptr(), 2, left.min(milliseconds) as c_int) };
    if sources[1].seen != 0 { return Err((CANCELLED, "the host gave the call up".to_string())) }
    if left == 0 { return Err((TIMEOUT, "the command did not end in time".to_string())) }
    Ok(sources[0].seen != 0)
}

/// All that the command prints, once it has ended.
fn collect(child: &mut Child, call: &Call) -> Result<String, Failure> {
    let failed = |why: &dyn Display| (UNAVAILABLE, format!("the command failed: {}", why));
    let mut pipe = child.stdout.take().ok_or_else(|| failed(&"it has no output"))?;
    let (mut output, mut chunk, mut count) = (Vec::new(), [0; 4096], 1);
    while count > 0 {
        if !wait(pipe.as_raw_fd(), 60_000, call)? { continue }
        count = pipe.read(&mut chunk).map_err(|e| failed(&e))?;
        output.extend_from_slice(&chunk[..count]);
        if output.len() > 65_536 { return Err((PROTOCOL, "it prints over 64 KiB".to_string())) }
    }
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|e| failed(&e))? { break status }
        wait(-1, 10, call)?;
    };
    if !status.success() { return Err(failed(&status)) }
    String::from_utf8(output).map_err(|_| (PROTOCOL, "it printed what is no UTF-8".to_string()))
}

fn run(words: &[String], call: &Call) -> Result<String, Failure> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A process group of its own, which can be killed as a whole.
    unsafe { command.pre_exec(|| { setpgid(0, 0); Ok(()) }) };
    let mut child = command.spawn().map_err(|e| (UNAVAILABLE, format!("it can't be run: {}", e)))?;
    let output = collect(&mut child, call);
    if let Ok(None) = child.try_wait() {
        unsafe { kill(-(child.id() as c_int), 9) };
        drop(child.wait());
    }
    output
}
