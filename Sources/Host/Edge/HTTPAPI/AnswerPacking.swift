import Gzip
import NIOHTTP1

/// The header field `Accept-Encoding` (RFC 9110 §12.5.3).
enum AcceptedEncoding {
    /// The client names gzip, or everything, and does not refuse it by a weight of zero.
    static func takesGzip(_ headers: HTTPHeaders) -> Bool {
        var named: Bool?
        var any = false
        for item in headers[canonicalForm: "accept-encoding"] {
            let parts = item.split(separator: ";")
            guard let first = parts.first else { continue }
            let coding = first.lowercased().filter { $0 != " " && $0 != "\t" }
            let isRefused = parts.dropFirst().contains { part in
                let text = part.lowercased().filter { $0 != " " && $0 != "\t" }
                return text.hasPrefix("q=") && Double(text.dropFirst(2)).map { $0 <= 0 } ?? true
            }
            switch coding {
            case "gzip", "x-gzip": named = !isRefused
            case "*": any = !isRefused
            default: break
            }
        }
        return named ?? any
    }
}

extension Response {
    /// A smaller body is not worth a stream's own bytes.
    private static let leastPacked = 512

    /// Packs the body by gzip, where the client takes that and the content is text.
    mutating func pack(for pending: PendingReply) {
        let isWorthIt = source != nil || body.count >= Self.leastPacked
        guard isWorthIt, content.isText, !isPacked, pending.takesGzip else { return }
        if let source {
            isPacked = source.pack()
        } else {
            do throws(GzipError) {
                body = try GzipWriter().add(body, isLast: true)
                isPacked = true
            } catch {
                // There is no memory for it: it goes out as it is.
            }
        }
    }
}

extension Response.Content {
    /// It becomes smaller by being packed. Copies of the database have a parameter for it.
    fileprivate var isText: Bool {
        switch self {
        case .json, .text, .lines, .html, .prometheus, .openMetrics: true
        case .plainError, .problem, .bytes, .sql, .none: false
        }
    }
}

/// One gzip stream for one answer. Belongs to the event loop of its connection.
final class AnswerPacker {
    /// What it takes, about: zlib's windows and tables. Also while its answer waits for others.
    static let bytes = 272 << 10

    private let writer = GzipWriter()

    func add(_ bytes: [UInt8], isLast: Bool) throws(GzipError) -> [UInt8] {
        try writer.add(bytes, isLast: isLast)
    }
}
