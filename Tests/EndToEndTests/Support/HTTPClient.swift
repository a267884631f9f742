import Foundation
import FoundationNetworking

/// An HTTP answer as the tests look at it.
struct HTTPAnswer: Sendable {
    var status: Int
    var headers: [String: String]
    var body: Data

    var text: String { String(decoding: body, as: UTF8.self) }

    /// The body as JSON.
    func json() throws -> JSON {
        JSON(try JSONSerialization.jsonObject(with: body, options: .fragmentsAllowed))
    }
}

/// A look into a JSON document that never traps.
struct JSON: CustomStringConvertible {
    let value: Any?

    init(_ value: Any?) { self.value = value }

    subscript(_ name: String) -> JSON { JSON((value as? [String: Any])?[name]) }
    subscript(_ index: Int) -> JSON {
        guard let list = value as? [Any], list.indices.contains(index) else { return JSON(nil) }
        return JSON(list[index])
    }
    var string: String? { value as? String }
    var int: Int? { (value as? NSNumber)?.intValue }
    var bool: Bool? { value as? Bool }
    var array: [JSON]? { (value as? [Any])?.map { JSON($0) } }
    var members: [String]? { (value as? [String: Any])?.keys.sorted() }
    var description: String { value.map { "\($0)" } ?? "absent" }
}

/// Speaks HTTP to one node.
struct HTTPClient: Sendable {
    var base: String
    /// The header field `Authorization`; empty: none is sent. Nil: not for answers of 401, at which
    /// `URLSession` waits for ever.
    var authorization: String?

    func speaking(as user: String, _ password: String) -> HTTPClient {
        var client = self
        client.authorization = "Basic " + Data("\(user):\(password)".utf8).base64EncodedString()
        return client
    }

    /// Without a credential.
    var nobody: HTTPClient {
        var client = self
        client.authorization = ""
        return client
    }

    private static let session: URLSession = {
        let configuration = URLSessionConfiguration.ephemeral
        configuration.httpMaximumConnectionsPerHost = 16
        configuration.timeoutIntervalForRequest = 60
        return URLSession(configuration: configuration, delegate: NoRedirects(), delegateQueue: nil)
    }()

    /// Tests look at redirects themselves.
    private final class NoRedirects: NSObject, URLSessionTaskDelegate {
        func urlSession(
            _ session: URLSession, task: URLSessionTask,
            willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
            completionHandler: @escaping (URLRequest?) -> Void
        ) {
            completionHandler(nil)
        }
    }

    func send(
        _ method: String, _ path: String, body: Data? = nil,
        contentType: String = "application/json",
        timeout: Duration = .seconds(30)
    ) async throws -> HTTPAnswer {
        if let authorization, let target = URL(string: base), let host = target.host,
            let port = target.port
        {
            let who = authorization.isEmpty ? [] : ["Authorization: \(authorization)"]
            return try await OneShotHTTP(host: host, port: port).send(
                method, path, headers: who + ["Content-Type: \(contentType)"], body,
                timeout: Int(timeout.components.seconds) + 1)
        }
        guard let url = URL(string: base + path) else { throw URLError(.badURL) }
        var request = URLRequest(url: url)
        request.httpMethod = method
        request.timeoutInterval =
            Double(timeout.components.seconds) + 0.001
            * Double(timeout.components.attoseconds / 1_000_000_000_000_000)
        if let body {
            request.httpBody = body
            request.setValue(contentType, forHTTPHeaderField: "Content-Type")
        }
        let (data, response) = try await Self.session.data(for: request)
        guard let http = response as? HTTPURLResponse else { throw URLError(.badServerResponse) }
        var headers: [String: String] = [:]
        for (name, value) in http.allHeaderFields { headers["\(name)".lowercased()] = "\(value)" }
        return HTTPAnswer(status: http.statusCode, headers: headers, body: data)
    }

    func get(_ path: String, timeout: Duration = .seconds(30)) async throws -> HTTPAnswer {
        try await send("GET", path, timeout: timeout)
    }

    /// Posts statements: strings, or arrays of a string and its parameters.
    func execute(
        _ statements: [Any], parameters: String = "", endpoint: String = "execute",
        timeout: Duration = .seconds(30)
    ) async throws -> JSON {
        let body = try JSONSerialization.data(withJSONObject: statements)
        let answer = try await send(
            "POST", "/db/\(endpoint)\(parameters)", body: body, timeout: timeout)
        guard answer.status == 200 else {
            throw UnexpectedStatus(status: answer.status, text: answer.text)
        }
        return try answer.json()
    }

    /// The values of one query's rows.
    func rows(
        _ sql: String, level: String = "weak", timeout: Duration = .seconds(30)
    ) async throws -> [JSON] {
        let result = try await execute(
            [sql], parameters: "?level=\(level)", endpoint: "query", timeout: timeout)
        if let error = result["error"].string ?? result["results"][0]["error"].string {
            throw UnexpectedStatus(status: 200, text: error)
        }
        return result["results"][0]["values"].array ?? []
    }
}

struct UnexpectedStatus: Error, CustomStringConvertible {
    var status: Int
    var text: String
    var description: String { "HTTP \(status): \(text)" }
}
