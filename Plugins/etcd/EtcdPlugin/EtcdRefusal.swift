import HTTPRequests
import JSON
import PluginABI

/// What stands in an answer whose status is not 200: a code of gRPC's, and words.
struct EtcdRefusal {
    /// gRPC's status codes, as far as they tell something here.
    private enum GRPC {
        static let invalidArgument: Int64 = 3
        static let deadlineExceeded: Int64 = 4
        static let permissionDenied: Int64 = 7
        static let failedPrecondition: Int64 = 9
        static let unavailable: Int64 = 14
        static let unauthenticated: Int64 = 16
    }

    private let status: Int
    /// Nil where it is not etcd's gateway that answers.
    private let grpc: Int64?
    private let message: String

    init(_ answer: HTTPAnswer) {
        status = answer.status
        guard let value = try? JSONValue(parsing: answer.body) else {
            grpc = nil
            message = ""
            return
        }
        // Older gateways say it in "error", newer ones in "message".
        grpc = EtcdAnswer.integer(value["code"])
        message = value["message"]?.string ?? value["error"]?.string ?? ""
    }

    init(grpc: Int64?, message: String) {
        status = 200
        self.grpc = grpc
        self.message = message
    }

    /// The gateway has another prefix, or is off.
    var isUnknownPath: Bool { status == 404 && grpc == nil }

    /// There is no point in the token, or in having none; nothing was carried out.
    var asksForToken: Bool {
        status == 401 || grpc == GRPC.unauthenticated
            || ["invalid auth token", "user name is empty", "revision of auth store is old"]
                .contains { message.contains($0) }
    }

    var saysAuthenticationIsOff: Bool {
        grpc == GRPC.failedPrecondition && message.contains("authentication is not enabled")
    }

    /// Nil: by the status.
    var code: rqd_code? {
        if asksForToken || message.contains("authentication failed") { return RQD_AUTH }
        switch grpc {
        case GRPC.permissionDenied: return RQD_AUTH
        case GRPC.unavailable, GRPC.deadlineExceeded: return RQD_UNAVAILABLE
        case GRPC.invalidArgument: return RQD_PROTOCOL
        default: return nil
        }
    }
}
