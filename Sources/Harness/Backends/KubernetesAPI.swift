import JSON
import Threads
import Time

/// What a fake API server answers; see `KubernetesAPIServer`.
struct KubernetesAPI: Sendable {
    private static let prefix = "/apis/discovery.k8s.io/v1/namespaces/"
    private static let suffix = "/endpointslices"
    private static let known: Set<String> = [
        "labelSelector", "limit", "continue", "resourceVersion", "watch", "timeoutSeconds",
        "allowWatchBookmarks",
    ]

    /// In seconds: a day.
    private static let longestWatch: UInt64 = 86_400

    let slices: KubernetesSlices

    func answer(_ request: ReceivedRequest) -> HTTPResponse {
        let state = slices.state
        if let token = state.rules.token, request.header("authorization") != "Bearer \(token)" {
            return Self.status(401, "Unauthorized", "Unauthorized")
        }
        guard request.path.hasPrefix(Self.prefix), request.path.hasSuffix(Self.suffix) else {
            return Self.status(404, "NotFound", "the server could not find the requested resource")
        }
        let namespace = String(
            request.path.dropFirst(Self.prefix.count).dropLast(Self.suffix.count))
        guard request.method == "GET" else {
            return Self.status(405, "MethodNotAllowed", "\(request.method) is not supported")
        }
        for parameter in request.query where !Self.known.contains(parameter.name) {
            return Self.status(400, "BadRequest", "unknown parameter \(parameter.name)")
        }
        let isWatch = ["1", "true"].contains(request.parameter("watch") ?? "")
        let verb = isWatch ? "watch" : "list"
        guard !state.rules.forbidden.contains(verb) else {
            return Self.status(
                403, "Forbidden",
                "endpointslices.discovery.k8s.io is forbidden: User \"pod\" cannot \(verb) resource "
                    + "\"endpointslices\" in API group \"discovery.k8s.io\" in the namespace "
                    + "\"\(namespace)\"")
        }
        guard let selector = KubernetesSelector(request.parameter("labelSelector") ?? "") else {
            return Self.status(400, "BadRequest", "unable to parse requirement")
        }
        return isWatch
            ? watch(request, namespace, selector, state)
            : list(request, namespace, selector, state)
    }

    private func list(
        _ request: ReceivedRequest, _ namespace: String, _ selector: KubernetesSelector,
        _ state: KubernetesSlices.State
    ) -> HTTPResponse {
        let all = state.slices(of: namespace).filter(selector.matches)
        guard let limit = Int(request.parameter("limit") ?? "0"), limit >= 0 else {
            return Self.status(400, "BadRequest", "limit is no number")
        }
        var first = 0
        if let text = request.parameter("continue") {
            // VERSION.OFFSET: of the state that the first page was of.
            let parts = text.split(separator: ".").compactMap { UInt64($0) }
            guard parts.count == 2 else {
                return Self.status(400, "BadRequest", "continue key is not valid")
            }
            guard parts[0] == state.version else {
                return Self.status(
                    410, "Expired", "The provided continue parameter is too old")
            }
            first = Int(clamping: min(parts[1], UInt64(all.count)))
        }
        let end = limit == 0 ? all.count : first + min(limit, all.count - first)
        var metadata: [JSONValue.Member] = [
            .init("resourceVersion", .string("\(state.version)"))
        ]
        if end < all.count {
            metadata.append(.init("continue", .string("\(state.version).\(end)")))
            metadata.append(.init("remainingItemCount", .integer(all.count - end)))
        }
        let answer: JSONValue = [
            "kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1",
            "metadata": .object(metadata),
            "items": .array(Array(all[first..<end])),
        ]
        return HTTPResponse(200, json: answer.text())
    }

    private func watch(
        _ request: ReceivedRequest, _ namespace: String, _ selector: KubernetesSelector,
        _ state: KubernetesSlices.State
    ) -> HTTPResponse {
        guard let start = UInt64(request.parameter("resourceVersion") ?? "") else {
            return Self.status(400, "BadRequest", "resourceVersion: Invalid value")
        }
        guard let seconds = UInt64(request.parameter("timeoutSeconds") ?? "1800") else {
            return Self.status(400, "BadRequest", "timeoutSeconds: Invalid value")
        }
        guard start <= state.version else {
            return Self.status(504, "Timeout", "Too large resource version")
        }
        let tooOld = "too old resource version: \(start) (\(state.compacted))"
        if start < state.compacted, state.saysStatus { return Self.status(410, "Expired", tooOld) }
        let wantsBookmarks = request.parameter("allowWatchBookmarks") == "true"
        let due = MonotonicTime.now.nanoseconds + min(seconds, Self.longestWatch) * 1_000_000_000
        let slices = slices
        return HTTPResponse(
            200,
            .stream { exchange in
                var seen = start
                while !exchange.isOver, MonotonicTime.now.nanoseconds < due {
                    let now = slices.state
                    guard now.rules.hangUps == state.rules.hangUps else { return }
                    if seen < now.compacted {
                        let status = Self.statusObject(410, "Expired", tooOld)
                        _ = exchange.write(Self.event("ERROR", status))
                        return
                    }
                    for event in now.events where event.version > seen {
                        seen = event.version
                        let isWanted =
                            event.type == "BOOKMARK"
                            ? wantsBookmarks
                            : event.key.hasPrefix(namespace + "/") && selector.matches(event.object)
                        guard isWanted else { continue }
                        let line = Self.event(event.type, event.object)
                        guard Self.writeInTwo(line, to: exchange) else { return }
                    }
                    exchange.pause()
                }
            })
    }

    /// In two chunks, as a connection may cut it.
    private static func writeInTwo(_ line: [UInt8], to exchange: HTTPExchange) -> Bool {
        let middle = line.count / 2
        return exchange.write(Array(line[..<middle])) && exchange.write(Array(line[middle...]))
    }

    private static func event(_ type: String, _ object: JSONValue) -> [UInt8] {
        let event: JSONValue = ["type": .string(type), "object": object]
        return Array((event.text() + "\n").utf8)
    }

    private static func statusObject(_ code: Int, _ reason: String, _ message: String) -> JSONValue
    {
        [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure",
            "message": .string(message), "reason": .string(reason), "code": .integer(code),
        ]
    }

    private static func status(_ code: Int, _ reason: String, _ message: String) -> HTTPResponse {
        HTTPResponse(code, json: statusObject(code, reason, message).text())
    }
}

/// A label selector: requirements that all must hold.
struct KubernetesSelector {
    private enum Requirement {
        case isOne(String, of: Set<String>)
        case isNone(String, of: Set<String>)
        case exists(String)
        case isAbsent(String)
    }

    private let requirements: [Requirement]

    /// Nil for what is none.
    init?(_ text: String) {
        var requirements: [Requirement] = []
        for part in Self.parts(of: text) {
            guard let requirement = Self.requirement(part) else { return nil }
            requirements.append(requirement)
        }
        self.requirements = requirements
    }

    func matches(_ slice: JSONValue) -> Bool {
        let labels = slice["metadata"]?["labels"]
        return requirements.allSatisfy { requirement in
            switch requirement {
            case .isOne(let name, let values):
                labels?[name]?.string.map { values.contains($0) } ?? false
            case .isNone(let name, let values):
                labels?[name]?.string.map { !values.contains($0) } ?? true
            case .exists(let name): labels?[name] != nil
            case .isAbsent(let name): labels?[name] == nil
            }
        }
    }

    /// At the commas that are in no brackets.
    private static func parts(of text: String) -> [String] {
        var parts = [""]
        var depth = 0
        for character in text {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == ",", depth == 0 {
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        return parts.filter { !$0.isEmpty }
    }

    private static func requirement(_ text: String) -> Requirement? {
        let words = text.split(separator: " ", maxSplits: 2).map(String.init)
        if words.count == 3, words[2].hasPrefix("("), words[2].hasSuffix(")") {
            let values = Set(
                words[2].dropFirst().dropLast().split(separator: ",").map(String.init))
            switch words[1] {
            case "in": return .isOne(words[0], of: values)
            case "notin": return .isNone(words[0], of: values)
            default: return nil
            }
        }
        guard words.count == 1 else { return nil }
        let sides = text.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
        switch sides.count {
        case 1: return text.hasPrefix("!") ? .isAbsent(String(text.dropFirst())) : .exists(text)
        case 2 where sides[0].hasSuffix("!"):
            return .isNone(String(sides[0].dropLast()), of: [sides[1]])
        case 2: return sides[0].isEmpty ? nil : .isOne(sides[0], of: [sides[1]])
        case 3 where sides[1].isEmpty: return .isOne(sides[0], of: [sides[2]])
        default: return nil
        }
    }
}
