import CCurl
import Glibc
import PluginABI
import PluginSupport

/// One request under way: an easy handle of libcurl, and what has come back.
///
/// libcurl calls it back on the thread that runs the transfer, through an unretained pointer, which
/// is safe as the handle does not outlive this object.
final class Transfer {
    private static let headerLimit = 64 << 10

    let easy: UnsafeMutableRawPointer
    private let request: HTTPRequest
    private let connectTimeout: UInt64
    private let stream: (([UInt8]) -> Bool)?
    private var lists: [UnsafeMutablePointer<curl_slist>?] = []
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))

    private var answerHead = AnswerHead()
    private var body: [UInt8] = []
    /// Why no more of the answer is wanted.
    private var refusal: String?
    private var isEnough = false

    init(
        _ request: HTTPRequest, to server: ServerAddress, _ options: HTTPClient.Options,
        stream: (([UInt8]) -> Bool)?
    ) throws(TransferFailure) {
        guard let easy = curl_easy_init() else {
            throw TransferFailure(RQD_INTERNAL, "libcurl has no memory")
        }
        self.easy = easy
        self.request = request
        self.stream = stream
        connectTimeout = options.connectTimeout
        errorText[0] = 0
        try set(manners: server, options)
        let tls = request.tls ?? options.tls
        try set(request, to: server, serverName: tls.serverName)
        if server.isTLS { try TransferTLS(easy: easy).set(tls) }
    }

    deinit {
        curl_easy_cleanup(easy)
        for list in lists { curl_slist_free_all(list) }
        errorText.deallocate()
    }

    private func set(
        manners server: ServerAddress, _ options: HTTPClient.Options
    ) throws(TransferFailure) {
        let context = Unmanaged.passUnretained(self).toOpaque()
        var results = [
            ccurl_set_long(easy, CURLOPT_NOSIGNAL, 1),
            // A name that the system is slow to resolve must not hold up the caller: its thread is
            // let go, and ends by itself.
            ccurl_set_long(easy, CURLOPT_QUICK_EXIT, 1),
            ccurl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0),
            ccurl_set_long(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1),
            ccurl_set_long(easy, CURLOPT_PATH_AS_IS, 1),
            ccurl_set_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1)),
            ccurl_set_long(easy, CURLOPT_TCP_KEEPALIVE, 1),
            ccurl_set_long(
                easy, CURLOPT_CONNECTTIMEOUT_MS,
                Int(clamping: max(options.connectTimeout / 1_000_000, 1))),
            ccurl_set_text(easy, CURLOPT_USERAGENT, "rqlited"),
            ccurl_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText),
            ccurl_set_opener(easy, Self.openSocket),
            ccurl_set_sink(easy, CURLOPT_HEADERFUNCTION, Self.receiveHeader),
            ccurl_set_pointer(easy, CURLOPT_HEADERDATA, context),
            ccurl_set_sink(easy, CURLOPT_WRITEFUNCTION, Self.receiveBody),
            ccurl_set_pointer(easy, CURLOPT_WRITEDATA, context),
        ]
        if let proxy = HTTPProxy.choice(for: server) {
            results.append(ccurl_set_text(easy, CURLOPT_PROXY, proxy))
        }
        if let socket = server.unixSocket {
            results.append(ccurl_set_text(easy, CURLOPT_UNIX_SOCKET_PATH, socket))
        }
        if let (username, password) = options.basicAuth {
            results += [
                ccurl_set_long(easy, CURLOPT_HTTPAUTH, 1),
                ccurl_set_text(easy, CURLOPT_USERNAME, username),
                ccurl_set_text(easy, CURLOPT_PASSWORD, password),
            ]
        }
        try CurlOption.check(results)
    }

    private func set(
        _ request: HTTPRequest, to server: ServerAddress, serverName: String
    ) throws(TransferFailure) {
        let scheme = server.isTLS ? "https" : "http"
        var authority = server.authority
        // libcurl expects in the certificate the name in the URL.
        let isRenamed = server.isTLS && !serverName.isEmpty
        if isRenamed { authority = "\(ServerAddress.bracketed(serverName)):\(server.port)" }
        let url = "\(scheme)://\(authority)\(server.pathPrefix)\(request.target)"
        var results = [
            ccurl_set_text(easy, CURLOPT_URL, url),
            ccurl_set_text(easy, CURLOPT_CUSTOMREQUEST, request.method),
        ]
        var lines = request.headers.map { "\($0.name): \($0.value)" }
        lines.append("Expect:")
        if isRenamed {
            lines.append("Host: \(server.authority)")
            results.append(
                ccurl_set_list(easy, CURLOPT_CONNECT_TO, try list(["::\(server.authority)"])))
        }
        results.append(ccurl_set_list(easy, CURLOPT_HTTPHEADER, try list(lines)))
        if let body = request.body {
            results.append(ccurl_set_long(easy, CURLOPT_POSTFIELDSIZE, body.count))
            let copied = body.withUnsafeBytes { bytes in
                // Null would mean that the body is read from somewhere else.
                bytes.isEmpty
                    ? ccurl_set_text(easy, CURLOPT_COPYPOSTFIELDS, "")
                    : ccurl_set_pointer(
                        easy, CURLOPT_COPYPOSTFIELDS,
                        UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            }
            results.append(copied)
        }
        if !request.isRepeatable {
            results += [
                ccurl_set_long(easy, CURLOPT_FRESH_CONNECT, 1),
                ccurl_set_long(easy, CURLOPT_FORBID_REUSE, 1),
            ]
        }
        try CurlOption.check(results)
    }

    private func list(_ lines: [String]) throws(TransferFailure) -> UnsafeMutablePointer<
        curl_slist
    >? {
        var list: UnsafeMutablePointer<curl_slist>?
        defer { lists.append(list) }
        for line in lines {
            guard !line.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 }) else {
                let name = line.prefix { $0 != ":" }
                throw TransferFailure(
                    RQD_CONFIG, "the value of header \(name) has a line break or control character")
            }
            guard let longer = curl_slist_append(list, line) else {
                throw TransferFailure(RQD_INTERNAL, "libcurl has no memory")
            }
            list = longer
        }
        return list
    }

    private static let openSocket: ccurl_opener = { _, _, address in
        guard let address = address?.pointee else { return curl_socket_t(-1) }
        return socket(
            address.family, address.socktype | Int32(SOCK_CLOEXEC.rawValue), address.protocol)
    }

    private static let receiveHeader: ccurl_sink = { data, size, count, context in
        receive(data, size, count, context) { transfer, bytes in
            transfer.answerHead.take(bytes)
            return transfer.answerHead.size > headerLimit
                ? "headers of more than \(headerLimit) bytes" : nil
        }
    }

    private static let receiveBody: ccurl_sink = { data, size, count, context in
        receive(data, size, count, context) { transfer, bytes in
            if let stream = transfer.stream, transfer.answerHead.status == 200 {
                transfer.isEnough = !stream(Array(bytes))
                return transfer.isEnough ? "" : nil
            }
            guard transfer.body.count + bytes.count <= transfer.request.answerLimit else {
                return "an answer of more than \(transfer.request.answerLimit) bytes"
            }
            transfer.body += bytes
            return nil
        }
    }

    /// What the body returns ends the transfer; nil lets it go on.
    private static func receive(
        _ data: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int,
        _ context: UnsafeMutableRawPointer?,
        _ body: (Transfer, UnsafeRawBufferPointer) -> String?
    ) -> Int {
        guard let context, let data, size * count > 0 else { return 0 }
        let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        transfer.refusal = body(transfer, UnsafeRawBufferPointer(start: data, count: size * count))
        // Less than was offered: libcurl stops.
        return transfer.refusal == nil ? size * count : 0
    }
}

/// What became of it.
extension Transfer {
    func answer(_ result: CURLcode) throws(TransferFailure) -> HTTPAnswer {
        guard result == CURLE_OK || isEnough else { throw failure(result) }
        guard answerHead.isComplete else {
            throw failure(RQD_PROTOCOL, "the answer ended amid its headers")
        }
        return HTTPAnswer(status: answerHead.status, headers: answerHead.headers, body: body)
    }

    func failure(_ interruption: Call.Interruption) -> TransferFailure {
        switch interruption {
        case .deadline: failure(RQD_TIMEOUT, "no answer in time")
        case .cancelled: failure(RQD_CANCELLED, "given up")
        }
    }

    func failure(_ code: rqd_code, _ what: String) -> TransferFailure {
        var failure = TransferFailure(code, what)
        var sent = 0
        ccurl_get_long(easy, CURLINFO_REQUEST_SIZE, &sent)
        failure.mayHaveArrived = sent > 0
        return failure
    }

    private func failure(_ result: CURLcode) -> TransferFailure {
        if let refusal { return failure(RQD_PROTOCOL, refusal) }
        let said = String(cString: errorText)
        let text = said.isEmpty ? CurlText.of(result) : said
        switch result {
        case CURLE_COULDNT_CONNECT: return failure(RQD_UNAVAILABLE, whyNotConnected ?? text)
        case CURLE_OPERATION_TIMEDOUT:
            let limit = connectTimeout / 1_000_000
            return failure(RQD_UNAVAILABLE, "no connection within \(limit) ms")
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY,
            CURLE_BAD_CONTENT_ENCODING:
            return failure(RQD_PROTOCOL, text)
        case CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE: return failure(RQD_AUTH, text)
        case CURLE_OUT_OF_MEMORY, CURLE_FAILED_INIT: return failure(RQD_INTERNAL, text)
        default: return failure(RQD_UNAVAILABLE, text)
        }
    }

    /// Without the milliseconds that libcurl's own text has: the same cause must read the same.
    private var whyNotConnected: String? {
        var number = 0
        guard ccurl_get_long(easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK, number != 0 else {
            return nil
        }
        return "can't connect: \(String(cString: strerror(Int32(number))))"
    }
}
