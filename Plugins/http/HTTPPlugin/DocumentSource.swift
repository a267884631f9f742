import HTTPRequests
import JSON
import PluginABI
import PluginSupport
import Synchronization

/// Fetches the document. What did not change, by its entity tag, comes over the network once. One request
/// at a time.
final class DocumentSource: Sendable {
    private static let longestHeader = 8192

    /// What was read last.
    private struct Known {
        var tag: String
        /// Another request may be answered otherwise.
        var headers: [String]
        var found: [FoundAddress]
    }

    private let configuration: HTTPConfiguration
    private let client: HTTPClient
    private let known = Mutex<Known?>(nil)

    init(_ configuration: HTTPConfiguration) throws(CallFailure) {
        self.configuration = configuration
        client = try HTTPClient(configuration.http)
    }

    func addresses(_ call: Call) throws(CallFailure) -> [FoundAddress] {
        let (server, target) = (configuration.server, configuration.target)
        var request = HTTPRequest("GET", target, headers: try headers())
        request.isQuerySecret = true
        // The query too, for a server or proxy may send it back.
        if let query = target.firstIndex(of: "?") {
            request.secrets.append(String(target[target.index(after: query)...]))
        }
        let sent = request.headers.map { "\($0.name): \($0.value)" }
        let known = known.withLock { $0 }.flatMap { $0.headers == sent ? $0 : nil }
        if let known { request.headers.append(.init("If-None-Match", known.tag)) }
        let answer: HTTPAnswer
        do throws(HTTPFailure) {
            answer = try client.send(request, to: server, call)
        } catch {
            throw error.cause
        }
        if answer.status == 304, let known { return known.found }
        guard answer.status == 200 else {
            // It may be its own tag that it doesn't like.
            self.known.withLock { $0 = nil }
            let isElsewhere = [301, 302, 303, 307, 308].contains(answer.status)
            throw client.failure(
                answer, to: request, from: server,
                saying: isElsewhere ? "and redirects are not followed" : nil)
        }
        guard let document = try? JSONValue(parsing: answer.body) else {
            throw client.failure(
                answer, to: request, from: server, code: RQD_PROTOCOL, saying: "which is no JSON")
        }
        let found: [FoundAddress]
        do throws(CallFailure) {
            found = try AddressDocument(configuration).addresses(in: document)
        } catch {
            throw client.failure(
                answer, to: request, from: server, code: error.code, saying: error.message)
        }
        // It goes back in a header of ours.
        let tag = answer.header("etag").flatMap { tag in
            tag.utf8.count <= Self.longestHeader
                && tag.utf8.allSatisfy { (0x20...0x7E).contains($0) } ? tag : nil
        }
        self.known.withLock {
            $0 = tag.map { Known(tag: $0, headers: sent, found: found) }
        }
        return found
    }

    private func headers() throws(CallFailure) -> [HTTPRequest.Header] {
        var headers = [HTTPRequest.Header("Accept", "application/json")]
        for (name, value) in configuration.headers {
            headers.append(.init(name, value, isSecret: true))
        }
        for (name, path) in configuration.headerFiles {
            let value = try value(path, of: "the header \(name)")
            headers.append(.init(name, value, isSecret: true))
        }
        if !configuration.tokenFile.isEmpty {
            let token = try value(configuration.tokenFile, of: "the token")
            headers.append(.init("Authorization", "Bearer \(token)", isSecret: true))
        }
        return headers
    }

    /// A secret that is mounted may come late, or be renewed: what can't be read is tried again.
    private func value(_ path: String, of what: String) throws(CallFailure) -> String {
        do {
            return try SmallFile(path).line(limit: Self.longestHeader)
        } catch {
            throw CallFailure(
                RQD_AUTH,
                "\(configuration.server): the file of \(what): \(path): \(error.what)")
        }
    }
}
