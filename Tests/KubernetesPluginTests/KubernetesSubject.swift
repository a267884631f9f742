import Foundation
import HarnessBackends
import JSON
import KubernetesPlugin
import PluginABI
import PluginSupport

/// A fake API server, and the service account of a pod that asks it.
final class KubernetesSubject: Sendable {
    let server: KubernetesAPIServer
    /// The folder of the service account.
    let account = FileManager.default.temporaryDirectory
        .appending(path: "rqd-account-\(UUID().uuidString.prefix(8))").path

    init(token: String = "first-token") throws {
        server = try KubernetesAPIServer()
        try FileManager.default.createDirectory(
            atPath: account, withIntermediateDirectories: true)
        try write("default\n", to: "namespace")
        try write(token, to: "token")
        try tell("token", token)
    }

    deinit {
        server.stop()
        // What can't be removed is the temporary folder's.
        try? FileManager.default.removeItem(atPath: account)
    }

    func tell(_ words: String...) throws { _ = try server.command(words) }

    func write(_ text: String, to name: String) throws {
        try text.write(toFile: "\(account)/\(name)", atomically: true, encoding: .utf8)
    }

    /// - Parameter members: of the configuration, beside `server`, which the empty text takes back.
    func resolver(
        _ members: [String: JSONValue] = ["service": "rqlite"],
        environment: [String: String] = [:]
    ) throws -> KubernetesResolver {
        var all = members
        if all["server"] == nil {
            all["server"] = .string(server.url)
            all["token_file"] = .string("\(account)/token")
        }
        if all["server"] == "" { all["server"] = nil }
        let config = JSONValue.object(all.sorted { $0.key < $1.key }.map { .init($0, $1) })
        return try KubernetesResolver(
            InstanceArguments(mode: "kubernetes", config: Array(config.text().utf8)),
            account: account, environment: { environment[$0] })
    }
}

extension KubernetesResolver {
    func found() throws -> [String] {
        try look(call()).found.map { "\($0.host) \($0.port)" }
    }

    /// What a look fails with.
    func failure() -> CallFailure? {
        do throws(CallFailure) {
            _ = try look(call())
            return nil
        } catch {
            return error
        }
    }

    /// What a wait fails with.
    func failure(waitingFrom token: [UInt8], _ call: Call) -> CallFailure? {
        do throws(CallFailure) {
            _ = try wait(token: token, call)
            return nil
        } catch {
            return error
        }
    }
}

/// Generous: tests run beside others.
func call(seconds: Double = 60, cancelDescriptor: Int32 = -1) -> Call {
    Call(
        deadline: Call.now + UInt64(seconds * 1_000_000_000), cancelDescriptor: cancelDescriptor)
}
