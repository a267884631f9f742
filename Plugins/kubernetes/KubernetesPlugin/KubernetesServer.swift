import HTTPRequests
import JSON
import Notation
import PluginABI
import PluginSupport

/// The API server: lists EndpointSlices and watches them. One request at a time.
///
///     GET /apis/discovery.k8s.io/v1/namespaces/NS/endpointslices?labelSelector=…
///         limit, continue                         a list, in pages
///         watch=1, resourceVersion, timeoutSeconds,
///         allowWatchBookmarks=true                one JSON text per line, for each change
final class KubernetesServer: Sendable {
    struct List {
        let found: [FoundAddress]
        /// The state of the list; what a watch begins at.
        let version: String

        var state: [UInt8] { StateToken.of(addresses: found) }
    }

    /// How a watch ended.
    enum Watched {
        /// Something changed, or the server no longer knows what.
        case changed
        /// Nothing changed until then.
        case quiet(version: String)
    }

    /// Slices in a page. A slice has a hundred endpoints, each of half a KiB.
    private static let pageLimit = 20
    private static let mostPages = 100
    private static let pageBytes = 4 << 20
    /// Seconds after which the server ends a watch, so that a connection that died is missed by then.
    private static let watchSeconds: UInt64 = 240

    private let configuration: KubernetesConfiguration
    private let client: HTTPClient

    init(_ configuration: KubernetesConfiguration) throws(CallFailure) {
        self.configuration = configuration
        client = try HTTPClient(.init())
    }

    /// Of the latest state: without a resource version the server asks a majority of its own store.
    func list(_ call: Call) throws(CallFailure) -> List {
        do throws(Refusal) {
            return try pages(call)
        } catch {
            guard error.isGone else { throw error.cause }
        }
        // The state that the pages were of is gone; anew, once.
        do throws(Refusal) { return try pages(call) } catch { throw error.cause }
    }

    /// Returns when anything changes after that version.
    func watch(from version: String, _ call: Call) throws(CallFailure) -> Watched {
        var request = try request([
            ("watch", "1"), ("resourceVersion", version), ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", "\(Self.watchSeconds)"),
        ])
        request.answerLimit = Self.pageBytes
        let events = Events(version)
        let answer: HTTPAnswer
        do throws(HTTPFailure) {
            answer = try client.stream(
                request, to: configuration.server,
                call.limited(nanoseconds: (Self.watchSeconds + 15) * 1_000_000_000)
            ) { events.take($0) }
        } catch {
            throw error.cause
        }
        if answer.status == 410 { return .changed }
        guard answer.status == 200 else { throw refusal(answer, request).cause }
        if let what = events.refusal {
            throw client.failure(
                answer, to: request, from: configuration.server, code: RQD_UNAVAILABLE, saying: what
            )
        }
        return events.isChange ? .changed : .quiet(version: events.version)
    }
}

/// One request.
extension KubernetesServer {
    /// Why a list is none.
    private struct Refusal: Error {
        let cause: CallFailure
        /// The server has forgotten the state that was asked for.
        var isGone = false
    }

    private func pages(_ call: Call) throws(Refusal) -> List {
        var slices = EndpointSlices(configuration)
        var rest = ""
        for _ in 0..<Self.mostPages {
            var parameters = [(name: "limit", value: "\(Self.pageLimit)")]
            if !rest.isEmpty { parameters.append(("continue", rest)) }
            let page = try page(parameters, call)
            do throws(CallFailure) {
                for slice in page["items"]?.array ?? [] { try slices.take(slice) }
                rest = page["metadata"]?["continue"]?.string ?? ""
                if rest.isEmpty {
                    return List(
                        found: try slices.addresses(),
                        version: page["metadata"]?["resourceVersion"]?.string ?? "")
                }
            } catch {
                throw Refusal(
                    cause: CallFailure(error.code, "\(configuration.server): \(error.message)"))
            }
        }
        throw Refusal(
            cause: CallFailure(
                RQD_PROTOCOL,
                "\(configuration.server): more than \(Self.mostPages * Self.pageLimit) EndpointSlices "
                    + "of \(configuration.selector) in \(configuration.namespace)"))
    }

    private func page(
        _ parameters: [(name: String, value: String)], _ call: Call
    ) throws(Refusal) -> JSONValue {
        let answer: HTTPAnswer
        let request: HTTPRequest
        do throws(CallFailure) {
            var made = try self.request(parameters)
            made.answerLimit = Self.pageBytes
            request = made
        } catch {
            throw Refusal(cause: error)
        }
        do throws(HTTPFailure) {
            answer = try client.send(request, to: configuration.server, call)
        } catch {
            throw Refusal(cause: error.cause)
        }
        guard answer.status == 200 else { throw refusal(answer, request) }
        let page = try? JSONValue(parsing: answer.body)
        guard let page, page["kind"]?.string == "EndpointSliceList",
            page["metadata"]?["resourceVersion"]?.string != nil
        else {
            throw Refusal(
                cause: client.failure(
                    answer, to: request, from: configuration.server, code: RQD_PROTOCOL,
                    saying: "which is no EndpointSliceList"))
        }
        return page
    }

    private func request(
        _ parameters: [(name: String, value: String)]
    ) throws(CallFailure) -> HTTPRequest {
        let path =
            "/apis/discovery.k8s.io/v1/namespaces/\(configuration.namespace)/endpointslices"
        let all = [(name: "labelSelector", value: configuration.selector)] + parameters
        var request = HTTPRequest("GET", path + PercentEncoding.query(all))
        request.headers = [.init("Accept", "application/json")]
        if let token = try configuration.token() {
            request.headers.append(.init("Authorization", "Bearer \(token)", isSecret: true))
            request.secrets.append(token)
        }
        request.tls = try configuration.tls()
        return request
    }

    /// With the words of the server's `Status`, where it is one, and what to do.
    private func refusal(_ answer: HTTPAnswer, _ request: HTTPRequest) -> Refusal {
        let hint: String?
        switch answer.status {
        case 401: hint = "the token is not accepted"
        case 403:
            hint =
                "the service account needs a role with get, list and watch on endpointslices of "
                + "discovery.k8s.io"
        default: hint = nil
        }
        let status = try? JSONValue(parsing: answer.body)
        let isOwn = status?["kind"]?.string == "Status"
        return Refusal(
            cause: client.failure(
                answer, to: request, from: configuration.server, saying: hint),
            isGone: answer.status == 410 && isOwn)
    }
}

/// What comes over a watch. Used on one thread.
private final class Events {
    private var lines = JSONLines()
    /// Of the last bookmark, or the one that was begun at.
    private(set) var version: String
    private(set) var isChange = false
    /// Why the server ended it, if that says nothing of changes.
    private(set) var refusal: String?

    init(_ version: String) { self.version = version }

    /// False: that is enough.
    func take(_ bytes: [UInt8]) -> Bool {
        for event in lines.take(bytes) {
            switch event["type"]?.string {
            case "BOOKMARK":
                version = event["object"]?["metadata"]?["resourceVersion"]?.string ?? version
            case "ADDED", "MODIFIED", "DELETED":
                isChange = true
                return false
            case "ERROR":
                let status = event["object"]
                if status?["code"]?.integer == 410 {
                    isChange = true
                } else {
                    refusal = AddressLines.quote(status?["message"]?.string ?? "without words")
                }
                return false
            default:
                refusal = "a line that is no event of a watch"
                return false
            }
        }
        if lines.isBroken { refusal = "a line that is no JSON" }
        return refusal == nil
    }
}
