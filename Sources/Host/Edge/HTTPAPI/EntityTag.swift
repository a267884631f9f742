import NIOHTTP1
import Raft
import Service
import Wire

/// The header fields `ETag` and `If-None-Match` of `GET /db/query`: a tag names the place in the
/// cluster's history that an answer shows. While the database stands there, who asks again gets a 304,
/// and nothing is read (RFC 9110 §8.8.3; docs/decisions/0140-what-an-answer-has-seen.md).
///
/// The tag is weak: the same rows may come packed or not.
enum EntityTag {
    /// The tag of an answer; nil where asking again may give another: one that did not see exactly
    /// what its mark says, that failed, or that was made by the log.
    static func of(
        _ result: CommandResult, _ sight: ReadSight?, _ pending: PendingReply
    ) -> CommitMark? {
        guard pending.method == .GET, let sight, sight.isExact, result.error == nil else {
            return nil
        }
        let failed = result.statements.contains {
            if case .failed = $0.outcome { true } else { false }
        }
        return failed ? nil : sight.mark
    }

    /// The newest of the tags for which the client has an answer.
    static func unless(_ request: HTTPRequest) -> CommitMark? {
        guard request.method == .GET else { return nil }
        return request.headers[canonicalForm: "if-none-match"].compactMap { text -> CommitMark? in
            let tag = text.hasPrefix("W/") ? text.dropFirst(2) : text
            guard tag.utf8.count >= 2, tag.hasPrefix("\""), tag.hasSuffix("\"") else { return nil }
            return CommitMark(tag.dropFirst().dropLast())
        }.max { $0.index < $1.index }
    }
}
