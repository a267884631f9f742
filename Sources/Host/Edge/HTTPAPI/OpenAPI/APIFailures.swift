import NIOCore
import NIOHTTP1
import Raft
import Service
import Wire

/// What an operation answers where the node fails, worked out by asking the table that answers are made
/// from, once for each failure.
enum APIFailures {
    /// One for each code of `Problem`.
    static let samples: [ServiceError] = [
        .notLeader(leaderURL: ""), .notLeader(leaderURL: nil), .noLeader(waitingFor: ""),
        .notReady(""), .leadershipLost,
        .timedOut(waitingFor: ""), .busy, .staleRead, .linearizableTimeout(index: LogIndex(0)),
        .forwardingFailed(to: PeerAddress(""), cause: ""), .requestTooLarge(limit: 0),
        .transfer(.noTransferTarget), .membership(.changeInProgress), .diskFull, .unsuitable(""),
        .otherHistory(wanted: nowhere),
        .behind(wanted: LogIndex(0), applied: LogIndex(0)), .keyTaken(LogIndex(0)),
        .notAuthorized(""),
    ]

    private static let nowhere = CommitMark(
        cluster: ClusterID(RandomID(high: 0, low: 0)), epoch: 0, index: LogIndex(0))

    /// A status, what is in the body, and why it comes.
    struct Answer {
        let status: Int
        let content: Response.Content
        let code: String
    }

    static func answers(of operation: HTTPOperation) -> [Answer] {
        guard operation.code != nil, let plain = request(operation, "/"),
            let redirecting = request(operation, "/?redirect")
        else { return [] }
        var answers: [Answer] = []
        for error in samples {
            let code = Problem.code(of: error)
            for pending in operation.reads(.redirect) ? [plain, redirecting] : [plain] {
                switch ErrorTable.answer(to: pending, failedBy: error) {
                case .plain(let status, _):
                    answers.append(Answer(status: status, .plainError, code))
                case .lines: answers.append(Answer(status: .serviceUnavailable, .text, code))
                case .redirect: answers.append(Answer(status: .movedPermanently, .none, code))
                // The answer of those that succeed.
                case .envelope: break
                }
            }
            if !operation.isObservation {
                answers.append(Answer(status: Problem.status(of: error), .problem, code))
            }
        }
        if !operation.isObservation {
            answers += [Response.Content.plainError, .problem].map {
                Answer(status: .tooManyRequests, $0, Problem.overShareCode)
            }
        }
        if operation.mayHaveEffect {
            answers += [Response.Content.plainError, .problem].map {
                Answer(status: .internalServerError, $0, Problem.droppedCode)
            }
        }
        return answers
    }

    private static func request(_ operation: HTTPOperation, _ target: String) -> PendingReply? {
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: target)
        do throws(QueryParameters.Invalid) {
            return PendingReply(operation, try HTTPRequest(head, arrival: .uptimeNanoseconds(0)))
        } catch {
            return nil
        }
    }
}

extension APIFailures.Answer {
    fileprivate init(
        status: HTTPResponseStatus, _ content: Response.Content, _ code: String
    ) {
        self.init(status: Int(status.code), content: content, code: code)
    }
}
