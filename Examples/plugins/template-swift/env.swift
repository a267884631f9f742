// SPDX-License-Identifier: MIT

/// The mode "env": the nodes stand in an environment variable, separated by commas or spaces.
///
///     RQLITE_DISCO_PEERS="10.0.0.7:4002,10.0.0.8:4002" rqlited -disco-mode env …
///     … -disco-config '{"variable": "PEERS"}'
///
/// A template: to make a plugin of your own of it, change `name` and the last four words of `note`,
/// and write another `Instance`. All that follows it stays as it is.
import Glibc

private let name: StaticString = "env"

/// The layout is explained in rqlite_disco.h. The words spell "rqdisco" and the mode, four letters
/// each, the first in the lowest byte.
@used @section(".note.rqdisco")
let note:
    (
        UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32,
        UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32
    ) = (8, 52, 1, 0x6964_7172, 0x006f_6373, 1, 1, 0, 1, 0x0076_6e65, 0, 0, 0, 0, 0, 0, 0, 0)

/// What one `-disco-mode env` needs to know, and its answer. Never changes, so no call needs a lock.
private final class Instance: Sendable {
    struct Failure: Error {
        var code: rqd_code
        var message: String
    }

    struct Address {
        var host: String
        /// 0: the asking node's own Raft port.
        var port: UInt32
    }

    let variable: String

    /// - Parameter config: of `-disco-config`; empty when none was given.
    init(config: String) throws(Failure) {
        if config.isEmpty {
            variable = "RQLITE_DISCO_PEERS"
            return
        }
        // One member is no reason for a JSON parser: {, "variable", :, "NAME", }.
        let words = config.split(separator: "\"", omittingEmptySubsequences: false)
            .map { $0.filter { !" \t\r\n".contains($0) } }
        guard words.count == 5, words[0] == "{", words[1] == "variable", words[2] == ":",
            words[4] == "}", !words[3].isEmpty,
            words[3].allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" })
        else {
            throw Failure(
                code: RQD_CONFIG,
                message: "the configuration must be {\"variable\": \"NAME\"}, or empty for "
                    + "RQLITE_DISCO_PEERS; variable is the only member")
        }
        variable = words[3]
    }

    /// Called for each `resolve`. A plugin that asks somebody else waits at most until the call's
    /// deadline, and polls its `cancel_fd` beside what it waits for.
    func addresses() throws(Failure) -> [Address] {
        guard let value = getenv(variable) else {
            throw Failure(
                code: RQD_UNAVAILABLE, message: "the environment has no variable \(variable)")
        }
        var found: [Address] = []
        for word in String(cString: value).split(whereSeparator: { " ,\n".contains($0) }) {
            guard let address = Self.address(word) else {
                throw Failure(
                    code: RQD_PROTOCOL, message: "\(variable): \(word) is not host[:port]")
            }
            found.append(address)
        }
        return found
    }

    private static func address(_ word: Substring) -> Address? {
        // An IPv6 address with a port is in brackets.
        if word.hasPrefix("["), let end = word.lastIndex(of: "]") {
            let host = String(word[word.index(after: word.startIndex)..<end])
            let rest = word[word.index(after: end)...]
            if rest.isEmpty { return Address(host: host, port: 0) }
            guard rest.first == ":", let port = UInt16(rest.dropFirst()), port > 0 else {
                return nil
            }
            return Address(host: host, port: UInt32(port))
        }
        let parts = word.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return Address(host: String(word), port: 0) }
        guard let port = UInt16(parts[1]), port > 0 else { return nil }
        return Address(host: String(parts[0]), port: UInt32(port))
    }
}

// ---- What every resolver in Swift needs ---------------------------------------------------------

/// Lends a text for one call.
private func withText<Result>(_ text: String, _ body: (rqd_text) -> Result) -> Result {
    var text = text
    return text.withUTF8 { bytes in
        bytes.withMemoryRebound(to: CChar.self) {
            body(rqd_text(data: $0.baseAddress, length: UInt64($0.count)))
        }
    }
}

private func fail(_ failure: Instance.Failure, _ sink: UnsafePointer<rqd_sink>) -> rqd_code {
    withText(failure.message) { _ = sink.pointee.message(sink, $0) }
    return failure.code
}

/// A text that lives until the process ends, as those of the descriptor must.
private func constant(_ text: StaticString) -> rqd_text {
    rqd_text(
        data: UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self),
        length: UInt64(text.utf8CodeUnitCount))
}

/// A value that lives until the process ends.
private func constant<Value>(_ value: Value) -> UnsafePointer<Value> {
    let place = UnsafeMutablePointer<Value>.allocate(capacity: 1)
    place.initialize(to: value)
    return UnsafePointer(place)
}

private func size<Value>(_: Value.Type) -> UInt32 { UInt32(MemoryLayout<Value>.size) }

/// Immutable once made, so safe to share.
private struct Tables: @unchecked Sendable {
    let resolver = constant(
        rqd_resolver(size: size(rqd_resolver.self), reserved: 0) { instance, _, sink in
            guard let instance, let sink else { return RQD_INTERNAL }
            let own = Unmanaged<Instance>.fromOpaque(UnsafeRawPointer(instance))
                .takeUnretainedValue()
            do throws(Instance.Failure) {
                for found in try own.addresses() {
                    var address = rqd_address()
                    address.size = size(rqd_address.self)
                    address.port = found.port
                    let code = withText(found.host) { host in
                        withText(own.variable) { source in
                            address.host = host
                            address.source = source
                            return sink.pointee.address(sink, &address)
                        }
                    }
                    if code != RQD_OK { return code }
                }
                return RQD_OK
            } catch {
                return fail(error, sink)
            }
        })

    let plugin: UnsafePointer<rqd_plugin>

    init() {
        let mode: UnsafePointer<rqd_mode>? = constant(
            rqd_mode(size: size(rqd_mode.self), role: RQD_ROLE_RESOLVER, name: constant(name)))
        plugin = constant(
            rqd_plugin(
                size: size(rqd_plugin.self), abi_major: RQD_ABI_MAJOR, abi_minor: 1,
                abi_minor_needed: 0, id: constant("org.example.env"), version: constant("1.0.0"),
                vendor: constant("Example"), url: constant(""), license: constant("MIT"),
                modes: constant(mode), mode_count: 1, reserved: 0,
                config_schema: constant(#"{"type": "object"}"#),
                create: { _, _, arguments, sink, result in
                    guard let config = arguments?.pointee.config, let sink, let result
                    else { return RQD_INTERNAL }
                    let bytes = UnsafeBufferPointer(start: config.data, count: Int(config.length))
                    do throws(Instance.Failure) {
                        let own = try Instance(config: String(decoding: bytes, as: UTF8.self))
                        result.pointee = OpaquePointer(Unmanaged.passRetained(own).toOpaque())
                        return RQD_OK
                    } catch {
                        return fail(error, sink)
                    }
                },
                destroy: { instance in
                    guard let instance else { return }
                    Unmanaged<Instance>.fromOpaque(UnsafeRawPointer(instance)).release()
                },
                get_interface: { _, id in
                    let bytes = UnsafeRawBufferPointer(start: id.data, count: Int(id.length))
                    return bytes.elementsEqual(RQD_RESOLVER_1.utf8)
                        ? UnsafeRawPointer(tables.resolver) : nil
                }))
    }
}

private let tables = Tables()

/// The one exported symbol.
@c(rqlite_disco_entry)
public func entry(_ hostMajor: UInt32, _ hostMinor: UInt32) -> UnsafePointer<rqd_plugin>? {
    hostMajor == RQD_ABI_MAJOR ? tables.plugin : nil
}
