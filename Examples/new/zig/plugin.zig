// SPDX-License-Identifier: MIT

//! The mode "@NAME@": answers with the nodes that its configuration lists.
//!
//!     -disco-mode @NAME@ -disco-config '{"nodes": "10.0.0.7:4002 10.0.0.8"}'
//!
//! Change `resolve`; what waits there polls `call.cancel_fd` and ends at `call.deadline_ns`
//! (CLOCK_MONOTONIC). The interface of rqlite_disco.h is written out first.

const Text = extern struct { data: ?[*]const u8, length: u64 };
const Call = extern struct { size: u32, cancel_fd: i32, ctx: ?*anyopaque, deadline_ns: u64 };
const Address = extern struct {
    size: u32 = @sizeOf(Address), port: u32, host: Text, source: Text,
    priority: u32 = 0, weight: u32 = 0, ttl_s: u32 = 0, reserved: u32 = 0,
};
const Sink = extern struct {
    size: u32, reserved: u32, ctx: ?*anyopaque,
    message: *const fn (*const Sink, Text) callconv(.c) i32,
    address: *const fn (*const Sink, *const Address) callconv(.c) i32,
};
const CreateArgs = extern struct { size: u32, reserved: u32, mode: Text, key: Text, config: Text };
const Resolver = extern struct {
    size: u32 = @sizeOf(Resolver), reserved: u32 = 0,
    resolve: *const fn (*Instance, *const Call, *const Sink) callconv(.c) i32,
};
const Mode = extern struct { size: u32 = @sizeOf(Mode), role: u32, name: Text };
const Plugin = extern struct {
    size: u32 = @sizeOf(Plugin), abi_major: u32 = 1, abi_minor: u32 = 1, abi_minor_needed: u32 = 0,
    id: Text, version: Text, vendor: Text, url: Text, license: Text,
    modes: [*]const *const Mode, mode_count: u32, reserved: u32 = 0, config_schema: Text,
    create: *const fn (*const Plugin, ?*const anyopaque, *const CreateArgs, *const Sink, *?*Instance) callconv(.c) i32,
    destroy: *const fn (*Instance) callconv(.c) void,
    get_interface: *const fn (*Instance, Text) callconv(.c) ?*const anyopaque,
};
const Note = extern struct { head: [3]u32, name: [8]u8, desc: [4]u32, mode: [36]u8 };
export const note: Note linksection(".note.rqdisco") = .{
    .head = .{ 8, 52, 1 }, .name = "rqdisco\x00".*, .desc = .{ 1, 1, 0, 1 },
    .mode = padded(),
};

fn padded() [36]u8 {
    var mode_name: [36]u8 = @splat(0);
    for (name, 0..) |c, i| mode_name[i] = c;
    return mode_name;
}

const name = "@NAME@";
const OK = 0;
const CONFIG = 3;
const PROTOCOL = 8;
const INTERNAL = 10;

fn text(comptime words: []const u8) Text {
    return .{ .data = words.ptr, .length = words.len };
}

fn fail(sink: *const Sink, code: i32, comptime why: []const u8) i32 {
    _ = sink.message(sink, text(why));
    return code;
}

extern fn calloc(count: usize, size: usize) ?*anyopaque;
extern fn free(memory: ?*anyopaque) void;

const Instance = extern struct { nodes: [4096]u8, length: usize };

fn isBlank(c: u8) bool {
    return c == ' ' or c == '\t' or c == '\n' or c == '\r';
}

/// The text in {"nodes": "a b c"}: one member is no reason for a JSON parser.
fn parse(config: []const u8) ?[]const u8 {
    var rest = config;
    for ([_][]const u8{ "{", "\"nodes\"", ":", "\"" }) |token| {
        while (rest.len > 0 and isBlank(rest[0])) rest = rest[1..];
        if (rest.len < token.len) return null;
        for (token, 0..) |c, i| if (rest[i] != c) return null;
        rest = rest[token.len..];
    }
    var end: usize = 0;
    while (end < rest.len and rest[end] != '"') : (end += 1) {
        // What is no plain text is none of ours.
        if (rest[end] < ' ' or rest[end] > '~' or rest[end] == '\\') return null;
    }
    if (end == rest.len) return null;
    const nodes = rest[0..end];
    var braces: usize = 0;
    for (rest[end + 1 ..]) |c| {
        if (c == '}') braces += 1 else if (!isBlank(c)) return null;
    }
    return if (braces == 1 and nodes.len <= 4096) nodes else null;
}

const Found = struct { host: []const u8, port: u32 };

fn port(digits: []const u8) ?u32 {
    var number: u32 = 0;
    if (digits.len == 0 or digits.len > 5) return null;
    for (digits) |c| {
        if (c < '0' or c > '9') return null;
        number = number * 10 + (c - '0');
    }
    return if (number > 0 and number < 65536) number else null;
}

/// Host and port of "10.0.0.7", "node-1:4002" or "[2001:db8::7]:4002"; 0: the asking node's own port.
fn split(word: []const u8) ?Found {
    var colons: usize = 0;
    var last: usize = 0;
    for (word, 0..) |c, i| if (c == ':') {
        colons += 1;
        last = i;
    };
    if (word[0] == '[') {
        if (word[word.len - 1] == ']') return .{ .host = word[1 .. word.len - 1], .port = 0 };
        if (last == 0 or word[last - 1] != ']') return null;
        return .{ .host = word[1 .. last - 1], .port = port(word[last + 1 ..]) orelse return null };
    }
    if (colons != 1) return .{ .host = word, .port = 0 };
    return .{ .host = word[0..last], .port = port(word[last + 1 ..]) orelse return null };
}

/// The next word, and what follows it.
fn next(rest: *[]const u8) ?[]const u8 {
    while (rest.len > 0 and (rest.*[0] == ' ' or rest.*[0] == ',')) rest.* = rest.*[1..];
    if (rest.len == 0) return null;
    var end: usize = 0;
    while (end < rest.len and rest.*[end] != ' ' and rest.*[end] != ',') end += 1;
    defer rest.* = rest.*[end..];
    return rest.*[0..end];
}

fn create(_: *const Plugin, _: ?*const anyopaque, args: *const CreateArgs, sink: *const Sink, instance: *?*Instance) callconv(.c) i32 {
    const wrong = "the configuration must be {\"nodes\": \"HOST[:PORT] ...\"}; nodes is the only member";
    if (args.config.length == 0) return fail(sink, CONFIG, wrong);
    const nodes = parse(args.config.data.?[0..args.config.length]) orelse return fail(sink, CONFIG, wrong);
    var rest = nodes;
    while (next(&rest)) |word| {
        if (split(word) == null) return fail(sink, CONFIG, "nodes: a word is not host[:port]");
    }
    const memory = calloc(1, @sizeOf(Instance)) orelse return fail(sink, INTERNAL, "no memory");
    const self: *Instance = @ptrCast(@alignCast(memory));
    for (nodes, 0..) |c, i| self.nodes[i] = c;
    self.length = nodes.len;
    instance.* = self;
    return OK;
}

fn destroy(self: *Instance) callconv(.c) void {
    free(self);
}

fn resolve(self: *Instance, call: *const Call, sink: *const Sink) callconv(.c) i32 {
    _ = call;
    var rest: []const u8 = self.nodes[0..self.length];
    while (next(&rest)) |word| {
        const found = split(word) orelse return fail(sink, PROTOCOL, "a word is not host[:port]");
        const address = Address{
            .port = found.port, .host = .{ .data = found.host.ptr, .length = found.host.len },
            .source = text("-disco-config"),
        };
        if (sink.address(sink, &address) != OK) return PROTOCOL;
    }
    return OK;
}

const resolver = Resolver{ .resolve = resolve };

fn getInterface(_: *Instance, id: Text) callconv(.c) ?*const anyopaque {
    const wanted = "rqd.resolver/1";
    if (id.length != wanted.len) return null;
    for (wanted, 0..) |c, i| if (id.data.?[i] != c) return null;
    return &resolver;
}

const mode = Mode{ .role = 1, .name = text(name) };
const modes = [_]*const Mode{&mode};
const plugin = Plugin{
    .id = text("org.example." ++ name), .version = text("0.1.0"), .vendor = text(""), .url = text(""),
    .license = text("MIT"), .modes = &modes, .mode_count = 1, .config_schema = text(""),
    .create = create, .destroy = destroy, .get_interface = getInterface,
};

export fn rqlite_disco_entry(host_major: u32, host_minor: u32) ?*const Plugin {
    _ = host_minor;
    return if (host_major == 1) &plugin else null;
}
