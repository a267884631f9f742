import Glibc
import PluginSupport

/// Tells that something in a folder changed (inotify). A help, not a promise: where a folder can't be
/// watched the caller's own glances must do.
struct FolderWatch: ~Copyable {
    private static let events = UInt32(
        IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB)

    private let path: String
    private let descriptor: Int32
    private var isWatching = false

    init(_ path: String) {
        self.path = path
        descriptor = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        begin()
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Whether something changed. False after `milliseconds` without, as far as can be known.
    mutating func wait(
        _ call: Call, atMost milliseconds: Int32
    ) throws(Call.Interruption) -> Bool {
        // A folder that was not there, or another one at its place; the same one changes nothing.
        begin()
        var sources = isWatching ? [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)] : []
        try call.poll(&sources, milliseconds: milliseconds)
        guard sources.first?.revents ?? 0 != 0 else { return false }
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
            while read(descriptor, buffer.baseAddress, buffer.count) > 0 {}
        }
        return true
    }

    private mutating func begin() {
        guard descriptor >= 0 else { return }
        isWatching = inotify_add_watch(descriptor, path, Self.events) >= 0
    }
}
