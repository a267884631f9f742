import ConsulPlugin
import Foundation
import JSON
import PluginABI
import PluginSupport
import ServerTesting
import Testing

/// A double with what registries that ask it have in common.
struct Consul {
    let double: ConsulDouble

    init(
        authority: CertificateAuthority? = nil, asksForCertificate: Bool = false,
        _ arguments: [String] = []
    ) throws {
        double = try ConsulDouble(
            authority: authority, asksForCertificate: asksForCertificate, arguments)
    }

    /// - Parameter members: of the configuration, beside `address`.
    func registry(
        _ members: [String: JSONValue] = [:], key: String = "rqlite",
        environment: [String: String] = [:]
    ) throws -> ConsulRegistry {
        var all = members
        all["address"] = all["address"] ?? .string(double.address)
        if all["address"] == "" { all["address"] = nil }
        let config = JSONValue.object(all.sorted { $0.key < $1.key }.map { .init($0, $1) })
        return try ConsulRegistry(
            InstanceArguments(mode: "consul-kv", key: key, config: Array(config.text().utf8)),
            log: HostLog { _, _ in }
        ) { environment[$0] }
    }

    /// The client asked nothing that Consul's pages don't offer.
    func expectNoViolations() throws {
        #expect(try double.violations() == [])
    }
}

/// Generous: tests run beside others.
func call(seconds: Double = 20, cancelDescriptor: Int32 = -1) -> Call {
    Call(
        deadline: Call.now + UInt64(seconds * 1_000_000_000), cancelDescriptor: cancelDescriptor)
}

extension ConsulRegistry {
    func text(_ name: String) throws -> String? {
        try read(name, call()).record.map { String(decoding: $0.value, as: UTF8.self) }
    }

    @discardableResult
    func write(_ name: String, _ text: String, at revision: [UInt8]? = nil) throws -> [UInt8] {
        try write(name, expected: revision, value: Array(text.utf8), call())
    }

    /// The status that something throws.
    func code(_ body: (ConsulRegistry) throws -> Void) -> rqd_code {
        do {
            try body(self)
            return RQD_OK
        } catch let failure as CallFailure {
            return failure.code
        } catch {
            return RQD_INTERNAL
        }
    }
}
