import Glibc
import PluginABI

/// The plugin, loaded as the host loads it. Nothing of it is believed yet.
///
/// `@unchecked Sendable`: the pointers are constants that live until the process ends, by contract.
final class LoadedPlugin: @unchecked Sendable {
    let entry: rqd_entry
    /// What the entry returned for this version of the ABI.
    let descriptor: UnsafePointer<rqd_plugin>?

    /// Why a file can't be loaded is `failed`, for the check whose business it is.
    init(path: String) throws(Finding) {
        let file = path.contains("/") ? path : "./" + path
        guard let handle = dlopen(file, RTLD_NOW | RTLD_LOCAL) else {
            throw .failed(
                expected: "dlopen with RTLD_NOW | RTLD_LOCAL loads it",
                seen: dlerror().map { String(cString: $0) } ?? "dlopen gave no reason")
        }
        guard let symbol = dlsym(handle, "rqlite_disco_entry") else {
            throw .failed(
                expected: "the symbol rqlite_disco_entry",
                seen: dlerror().map { String(cString: $0) } ?? "dlsym gave no reason")
        }
        entry = unsafeBitCast(symbol, to: rqd_entry.self)
        descriptor = entry(RQD_ABI_MAJOR, RQD_ABI_MINOR)
    }

    /// As much of the descriptor as both sides know, and whether its functions are there.
    func table() throws(Finding) -> rqd_plugin {
        guard let descriptor else {
            throw .failed(
                expected: "a descriptor for ABI \(RQD_ABI_MAJOR).\(RQD_ABI_MINOR)",
                seen: "the entry returned null")
        }
        let size = MemoryLayout<rqd_plugin>.size
        guard descriptor.pointee.size >= UInt32(size) else {
            throw .failed(
                expected: "a descriptor of at least \(size) bytes",
                seen: "its size is \(descriptor.pointee.size)")
        }
        return descriptor.pointee
    }

    /// Copies a text of the descriptor; `failed` when it is none.
    static func text(
        _ text: rqd_text, _ member: String, limit: UInt32 = RQD_MAX_TEXT
    ) throws(Finding) -> String {
        let expected = "\(member) is UTF-8 without NUL, of up to \(limit) bytes"
        guard text.length <= limit else {
            throw .failed(expected: expected, seen: "\(member) has \(text.length) bytes")
        }
        guard text.length > 0 else { return "" }
        guard let data = text.data else {
            throw .failed(
                expected: expected, seen: "\(member) has \(text.length) bytes at address 0")
        }
        let bytes = Array(UnsafeRawBufferPointer(start: data, count: Int(text.length)))
        guard CallResults.isText(bytes) else {
            throw .failed(expected: expected, seen: "\(member) holds other bytes")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
