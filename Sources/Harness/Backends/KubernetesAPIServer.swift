import JSON

/// A fake API server of Kubernetes: of its HTTP API the EndpointSlices of `discovery.k8s.io/v1`, to be
/// listed and watched, with what the real one refuses.
///
///     GET /apis/discovery.k8s.io/v1/namespaces/NS/endpointslices
///         labelSelector    a=b, a==b, a!=b, a, !a, a in (b,c), a notin (b,c), with commas between
///         limit, continue  pages, all of one state; 410 when that state is compacted
///         resourceVersion  at least that one; 504 for one that is yet to come
///         watch=1          events after resourceVersion, as chunks; 410, or an event of that code, when
///                          they are compacted
///         timeoutSeconds, allowWatchBookmarks
///
/// 401 without the right token, 403 where the token has no right, 404 for other paths, 405 for other
/// methods, 400 for parameters that mean nothing; each with a `Status`.
///
/// Commands: `slice NAME SERVICE PORTS [ADDRESS…]` (`NS/NAME` for another namespace than `default`; PORTS
/// as `raft=4002,http=4001`, or `-`; an address with `!terminating`, `!serving` or `!notready` behind it),
/// `touch NAME` (changes something else), `delete NAME`, `wipe`, `token TOKEN` (from now on, instead of
/// others; `-`: none is needed), `forbid VERB`, `allow VERB` (of list and watch), `compact [status]`,
/// `bookmark`, `hang-up` (ends all watches).
package final class KubernetesAPIServer: HTTPBackend {
    package static let kind = "kubernetes"

    private let slices: KubernetesSlices
    package let server: FakeHTTPServer

    package init() throws(BackendError) {
        let slices = KubernetesSlices()
        self.slices = slices
        let api = KubernetesAPI(slices: slices)
        server = try FakeHTTPServer { request, _ in api.answer(request) }
    }

    package func command(_ arguments: [String]) throws(BackendError) -> String {
        switch (arguments.first, arguments.count) {
        case ("slice", 4...):
            try slices.put(
                arguments[1], service: arguments[2], ports: arguments[3],
                addresses: Array(arguments[4...]))
        case ("touch", 2): slices.touch(arguments[1])
        case ("delete", 2): slices.delete(arguments[1])
        case ("wipe", 1): slices.deleteAll()
        case ("token", 2): slices.rule { $0.token = arguments[1] == "-" ? nil : arguments[1] }
        case ("forbid", 2): slices.rule { $0.forbidden.insert(arguments[1]) }
        case ("allow", 2): slices.rule { $0.forbidden.remove(arguments[1]) }
        case ("compact", 1): slices.compact(saysStatus: false)
        case ("compact", 2): slices.compact(saysStatus: true)
        case ("bookmark", 1): slices.bookmark()
        case ("hang-up", 1): slices.rule { $0.hangUps += 1 }
        default:
            throw BackendError("the fake server \(Self.kind) knows no command \(arguments)")
        }
        return ""
    }
}
