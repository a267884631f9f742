// SPDX-License-Identifier: MIT

//! The mode "@NAME@": answers with the nodes that its configuration lists.
//!
//!     -disco-mode @NAME@ -disco-config '{"nodes": "10.0.0.7:4002 10.0.0.8"}'
//!
//! Change `resolve`; what waits there polls `call.cancel_fd` and ends at `call.deadline_ns`
//! (CLOCK_MONOTONIC), as the example `exec` does. Rust 1.63, edition 2021, no crates.
use std::os::raw::{c_int, c_void};
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
    mode: *b"@PADDED@",
};

const fn text(s: &str) -> Text { Text { data: s.as_ptr(), length: s.len() as u64 } }

static MODE: Mode = Mode { size: size_of::<Mode>() as u32, role: 1, name: text("@NAME@") };
static MODES: [&Mode; 1] = [&MODE];
static RESOLVER: Resolver = Resolver { size: size_of::<Resolver>() as u32, reserved: 0, resolve };
static PLUGIN: Plugin = Plugin {
    size: size_of::<Plugin>() as u32, abi_major: 1, abi_minor: 0, abi_minor_needed: 0,
    id: text("org.example.@NAME@"), version: text("0.1.0"), vendor: text(""), url: text(""),
    license: text("MIT"), modes: MODES.as_ptr(), mode_count: 1, reserved: 0,
    config_schema: text(r#"{"type": "object", "required": ["nodes"]}"#),
    create, destroy, get_interface,
};

#[no_mangle]
pub extern "C" fn rqlite_disco_entry(host_major: u32, _: u32) -> *const Plugin {
    if host_major == 1 { &PLUGIN } else { ptr::null() }
}

type Failure = (i32, String); // a status but RQD_OK, and what the operator has to know
const CONFIG: i32 = 3;
const PROTOCOL: i32 = 8;

/// No panic may cross the boundary.
fn answer(sink: &Sink, work: impl FnOnce() -> Result<(), Failure>) -> i32 {
    let panicked = || Err((10, "a defect of the plugin".to_string()));
    match panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| panicked()) {
        Ok(()) => 0,
        Err((code, why)) => { (sink.message)(sink, text(&why)); code }
    }
}

pub struct Instance { nodes: String }

extern "C" fn create(
    _: &Plugin, _: *const c_void, args: &CreateArgs, sink: &Sink, instance: &mut *mut Instance,
) -> i32 {
    answer(sink, || {
        let bytes = match args.config.length {
            0 => &[],
            length => unsafe { slice::from_raw_parts(args.config.data, length as usize) },
        };
        let wrong = || (CONFIG, r#"the configuration must be {"nodes": "HOST[:PORT] ..."}; nodes is the only member"#.to_string());
        let nodes = str::from_utf8(bytes).ok().and_then(parse).ok_or_else(wrong)?;
        for word in words(nodes) {
            split(word).ok_or_else(|| (CONFIG, format!("nodes: {} is not host[:port]", word)))?;
        }
        *instance = Box::into_raw(Box::new(Instance { nodes: nodes.to_string() }));
        Ok(())
    })
}

extern "C" fn destroy(instance: *mut Instance) { drop(unsafe { Box::from_raw(instance) }) }

extern "C" fn get_interface(_: &Instance, id: Text) -> *const Resolver {
    let id: &[u8] = match id.length { 0 => &[], n => unsafe { slice::from_raw_parts(id.data, n as usize) } };
    if id == b"rqd.resolver/1" { &RESOLVER } else { ptr::null() }
}

/// The text in {"nodes": "a b c"}: one member is no reason for a JSON parser.
fn parse(config: &str) -> Option<&str> {
    let tokens = ["{", "\"nodes\"", ":", "\""];
    let start = tokens.iter().try_fold(config, |s, token| s.trim_start().strip_prefix(*token))?;
    let (nodes, end) = start.split_once('"')?;
    let is_whole = end.trim_start().strip_prefix('}')?.trim().is_empty();
    (is_whole && !nodes.contains('\\') && !nodes.contains('\0')).then(|| nodes)
}

fn words(nodes: &str) -> impl Iterator<Item = &str> {
    nodes.split(|c| c == ' ' || c == ',').filter(|word| !word.is_empty())
}

extern "C" fn resolve(instance: &Instance, _call: &Call, sink: &Sink) -> i32 {
    answer(sink, || {
        for word in words(&instance.nodes) {
            let wrong = || (PROTOCOL, format!("{} is not host[:port]", word));
            let (host, port) = split(word).ok_or_else(wrong)?;
            let address = Address {
                size: size_of::<Address>() as u32, port, host: text(host), source: text("-disco-config"),
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
