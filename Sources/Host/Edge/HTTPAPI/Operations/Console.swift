import NIOHTTP1
import Rights
import Telemetry

/// The way to a console in the browser, which is not there.
extension HTTPOperation {
    static let root = HTTPOperation(
        answeredHere: "root", [.exact("/"), .exact("")], nil, [], content: .none,
        work: { _, request in
            var response = Response.redirect(.found, to: "/console/")
            if request.method == .GET || request.method == .HEAD {
                response.content = .html
                response.body = Array("<a href=\"/console/\">Found</a>.\n\n".utf8)
            }
            return response
        })

    static let consoleRedirect = HTTPOperation(
        answeredHere: "console redirect", [.exact("/console")], nil, [], content: .none,
        work: { _, _ in .redirect(.movedPermanently, to: "/console/") })

    static let console = HTTPOperation(
        answeredHere: "console", [.prefix("/console")], [.GET, .HEAD], [.ui], content: .none,
        counting: { $0.consoleFiles },
        work: { _, _ in .plain(.notFound, "404 page not found") })
}
