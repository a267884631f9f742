import Foundation
import ServerTesting

/// A registry as the tests of the guide's promises see it: where it is, and what the record `leader`
/// of a cluster says. A real etcd, or the double of Consul.
struct RegistryServer: Sendable, CustomStringConvertible {
    struct Leader {
        var entry: JSON
        /// Differs after every write.
        var revision: String
    }

    let mode: String
    let configuration: String
    /// Nil while there is no record.
    let leader: @Sendable (_ key: String) async throws -> Leader?
    /// Writes the record, whatever stands there: what no node ever does.
    let overwrite: @Sendable (_ key: String, _ value: String) async throws -> Void

    var description: String { mode }

    func arguments(key: String = "rqlite") -> [String] {
        ["-disco-mode", mode, "-disco-key", key, "-disco-config", configuration]
    }

    enum Kind: String, Sendable, CaseIterable {
        case consul
        case etcd
    }

    /// - Parameter host: the address to listen on, at the usual port; nil: loopback, a free port.
    static func start(_ kind: Kind, host: String? = nil) throws -> RegistryServer {
        switch kind {
        case .consul: try consul(host)
        case .etcd: try etcd(host)
        }
    }

    private static func consul(_ host: String?) throws -> RegistryServer {
        let double = try ConsulDouble(host.map { ["--http", "\($0):8500"] } ?? [])
        let base = "http://\(host ?? "127.0.0.1"):\(double.httpPort)"
        let client = HTTPClient(base: base)
        return RegistryServer(
            mode: "consul-kv",
            configuration: #"{"address":"\#(host ?? "127.0.0.1"):\#(double.httpPort)"}"#,
            leader: { key in
                let answer = try await client.get("/v1/kv/\(key)/leader")
                guard answer.status == 200 else { return nil }
                let record = try answer.json()[0]
                return try Leader(
                    base64: record["Value"].string,
                    revision: "\(record["ModifyIndex"].int ?? 0)")
            },
            overwrite: { key, value in
                _ = try await client.send("PUT", "/v1/kv/\(key)/leader", body: Data(value.utf8))
                withExtendedLifetime(double) {}
            })
    }

    private static func etcd(_ host: String?) throws -> RegistryServer {
        var options = EtcdServer.Options()
        options.address = host.map { ($0, 2379) }
        let server = try EtcdServer(options)
        let client = HTTPClient(base: server.url)
        @Sendable func post(_ path: String, _ body: [String: String]) async throws -> JSON {
            let body = try JSONSerialization.data(withJSONObject: body)
            return try await client.send("POST", path, body: body).json()
        }
        return RegistryServer(
            mode: "etcd-kv",
            configuration: #"{"endpoints":["\#(server.url)"]}"#,
            leader: { key in
                let key = Data("/\(key)/leader".utf8).base64EncodedString()
                let record = try await post("/v3/kv/range", ["key": key])["kvs"][0]
                guard let revision = record["mod_revision"].string else { return nil }
                return try Leader(base64: record["value"].string, revision: revision)
            },
            overwrite: { key, value in
                let key = Data("/\(key)/leader".utf8).base64EncodedString()
                let value = Data(value.utf8).base64EncodedString()
                _ = try await post("/v3/kv/put", ["key": key, "value": value])
                withExtendedLifetime(server) {}
            })
    }
}

extension RegistryServer.Leader {
    fileprivate init(base64: String?, revision: String) throws {
        guard let data = base64.flatMap({ Data(base64Encoded: $0) }) else {
            throw UnexpectedStatus(status: 0, text: "the record is not base64")
        }
        entry = JSON(try JSONSerialization.jsonObject(with: data))
        self.revision = revision
    }
}
