import JSON
import Synchronization
import Threads
import Time

/// A fake agent of Nomad: of its HTTP API the registrations of a service.
///
///     GET /v1/service/NAME   namespace, region; index, wait: a blocking query
///
/// 403 without a right token, 405 for other methods, 400 without a name, and for an index or wait that is
/// none; errors are plain text. A service that nobody registered is an empty list. All registrations have
/// one index, which grows; a query that blocks is answered when it is another one, or its time is over.
///
/// Commands: `register ID SERVICE ADDRESS PORT [TAG…]` (`NS/SERVICE` for another namespace than
/// `default`), `deregister ID`, `wipe`, `token TOKEN` (from now on, instead of others; `-`: none is needed),
/// `restore` (the index begins anew, as after a snapshot was restored).
package final class NomadServer: HTTPBackend {
    package static let kind = "nomad"
    private static let longestWait: UInt64 = 600

    private struct Registration {
        let namespace: String
        let service: String
        let value: JSONValue
    }

    private struct State {
        var registrations: [String: Registration] = [:]
        var index: UInt64 = 100
        var token: String?
    }

    private final class Records: Sendable {
        let content = Mutex(State())
        var state: State { content.withLock { $0 } }
    }

    private let records: Records
    package let server: FakeHTTPServer

    package init() throws(BackendError) {
        let records = Records()
        self.records = records
        server = try FakeHTTPServer { Self.answer($0, $1, records) }
    }

    package func command(_ arguments: [String]) throws(BackendError) -> String {
        switch (arguments.first, arguments.count) {
        case ("register", 5...):
            guard let port = UInt16(arguments[4]) else {
                throw BackendError("\(arguments[4]) is no port")
            }
            register(
                arguments[1], arguments[2], address: arguments[3], port: port,
                tags: Array(arguments[5...]))
        case ("deregister", 2):
            change { $0.registrations[arguments[1]] = nil }
        case ("wipe", 1): change { $0.registrations = [:] }
        case ("token", 2):
            records.content.withLock { $0.token = arguments[1] == "-" ? nil : arguments[1] }
        case ("restore", 1): records.content.withLock { $0.index = 7 }
        default:
            throw BackendError("the fake server \(Self.kind) knows no command \(arguments)")
        }
        return ""
    }

    private func register(
        _ id: String, _ name: String, address: String, port: UInt16, tags: [String]
    ) {
        let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
        let (namespace, service) = parts.count == 2 ? (parts[0], parts[1]) : ("default", name)
        change { state in
            let index = JSONValue.integer(state.index)
            let value: JSONValue = [
                "ID": .string(id), "ServiceName": .string(service),
                "Namespace": .string(namespace), "NodeID": "a", "Datacenter": "dc1",
                "JobID": "rqlite", "AllocID": .string("alloc-of-\(id)"),
                "Tags": tags.isEmpty ? .null : .array(tags.map { .string($0) }),
                "Address": .string(address), "Port": .integer(port), "CreateIndex": index,
                "ModifyIndex": index,
            ]
            state.registrations[id] = Registration(
                namespace: namespace, service: service, value: value)
        }
    }

    private func change(_ body: (inout State) -> Void) {
        records.content.withLock { state in
            state.index += 1
            body(&state)
        }
    }

    private static func answer(
        _ request: ReceivedRequest, _ exchange: HTTPExchange, _ records: Records
    ) -> HTTPResponse {
        let prefix = "/v1/service/"
        guard request.path.hasPrefix(prefix) else {
            return HTTPResponse(404, text: "Invalid URL path")
        }
        guard request.method == "GET" else { return HTTPResponse(405, text: "Invalid method") }
        let name = request.path.dropFirst(prefix.count)
        guard !name.isEmpty else { return HTTPResponse(400, text: "missing service name") }
        guard !name.contains("/") else { return HTTPResponse(405, text: "Invalid method") }
        if let token = records.state.token, request.header("x-nomad-token") != token {
            return HTTPResponse(403, text: "Permission denied")
        }
        if let text = request.parameter("index") {
            guard let index = UInt64(text) else { return HTTPResponse(400, text: "Invalid index") }
            let wait = request.parameter("wait") ?? "300s"
            guard wait.hasSuffix("s"), let seconds = UInt64(wait.dropLast()) else {
                return HTTPResponse(400, text: "Invalid wait time")
            }
            let due =
                MonotonicTime.now.nanoseconds + min(seconds, longestWait) * 1_000_000_000
            while index > 0, records.state.index == index, !exchange.isOver,
                MonotonicTime.now.nanoseconds < due
            { exchange.pause() }
        }
        let state = records.state
        let namespace = request.parameter("namespace") ?? "default"
        let found = state.registrations.sorted { $0.key < $1.key }.map(\.value)
            .filter { $0.namespace == namespace && $0.service == name }
        var response = HTTPResponse(200, json: JSONValue.array(found.map(\.value)).text())
        response.set("X-Nomad-Index", "\(state.index)")
        response.set("X-Nomad-KnownLeader", "true")
        response.set("X-Nomad-LastContact", "0")
        return response
    }
}
