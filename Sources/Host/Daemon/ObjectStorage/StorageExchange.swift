internal import CRemote
internal import Glibc
internal import Time

/// One HTTP request over libcurl, and its answer. Redirects are answers like others.
struct StorageExchange {
    enum Body {
        case none
        case bytes([UInt8])
        /// A file between two pieces.
        case file(UploadFile, head: [UInt8] = [], tail: [UInt8] = [])
        /// Some bytes of a file.
        case part(UploadFile, Range<Int64>)
    }

    struct Answer {
        var status: Int
        /// Names in lower case.
        var headers: [(name: String, value: String)]
        /// The beginning of it, or nothing where it was received piece by piece.
        var body: [UInt8]

        func header(_ name: String) -> String? { headers.last { $0.name == name }?.value }
        var isGood: Bool { (200..<300).contains(status) }
    }

    var method: String
    var url: String
    /// No proxy leads there.
    var isLocal: Bool
    var headers: [(name: String, value: String)]
    var body: Body = .none
    /// For all of it; nil: as long as something moves.
    var timeout: Duration? = .seconds(30)
    /// In which at least a byte must move.
    var stallTime = Duration.seconds(60)
    /// Of answers whose bodies are received; those of others say what is wrong.
    var receivedStatus = 200

    /// Of an answer that nobody receives, bytes are kept up to here.
    private static let kept = 64 << 10
    private static let connectTime = 10_000

    /// - Parameters:
    ///   - place: for texts.
    ///   - receive: takes the body of an answer of `receivedStatus`, piece by piece.
    func run(
        _ place: String, _ stop: StopFlag,
        receive: (([UInt8]) throws(StorageFault) -> Void)? = nil
    ) throws(StorageFault) -> Answer {
        if let cause = cremote_unavailable() {
            throw StorageFault(
                "\(place): libcurl and libcrypto are needed, and not there: "
                    + String(cString: cause)
            ).unseen
        }
        if stop.isRaised { throw Self.givenUp(place) }
        let lines = headers.map { "\($0.name): \($0.value)" }
        guard lines.allSatisfy({ $0.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } }) else {
            throw StorageFault("\(place): a name or a key holds control characters").unseen
        }
        let intake = Intake(receive, of: receivedStatus, stop)
        let (code, status, said) = perform(lines, intake)
        if let fault = intake.fault { throw fault }
        guard code == 0 else {
            if stop.isRaised { throw Self.givenUp(place) }
            let text =
                said.isEmpty
                ? String(cString: cremote_text(code)) : AnswerText.withoutTimes(said)
            throw StorageFault("\(place): \(method) failed: \(text)", isTransient: true)
        }
        return Answer(status: status, headers: intake.headers, body: intake.body)
    }

    private static func givenUp(_ place: String) -> StorageFault {
        StorageFault("\(place): given up, for the node stops").unseen
    }

    private func perform(_ lines: [String], _ intake: Intake) -> (Int32, Int, String) {
        let copies = lines.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        // A line for which there is no memory is missing: the server refuses the request.
        let pointers: [UnsafePointer<CChar>?] = copies.filter { $0 != nil }.map {
            UnsafePointer($0)
        }
        let (head, file, range, tail) = parts
        var request = cremote_request()
        request.file = file
        request.file_offset = range.lowerBound
        request.file_size = hasBody ? Int64(range.count) : -1
        request.connect_time = Self.connectTime
        request.total_time = timeout.map { max(1, Int($0.millisecondsClamped)) } ?? 0
        request.stall_time = Int(stallTime.components.seconds)
        request.is_local = isLocal ? 1 : 0
        request.context = Unmanaged.passUnretained(intake).toOpaque()
        Self.install(&request)
        var status = 0
        var code: Int32 = 0
        // What is lent by pointers is lent for the call alone.
        method.withCString { method in
            url.withCString { url in
                pointers.withUnsafeBufferPointer { pointers in
                    head.withUnsafeBytes { head in
                        tail.withUnsafeBytes { tail in
                            request.method = method
                            request.url = url
                            request.headers = pointers.baseAddress
                            request.header_count = pointers.count
                            request.head = head.baseAddress
                            request.head_size = head.count
                            request.tail = tail.baseAddress
                            request.tail_size = tail.count
                            code = withExtendedLifetime(intake) {
                                cremote_perform(&request, &status)
                            }
                        }
                    }
                }
            }
        }
        let said = withUnsafeBytes(of: request.error) {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        return (code, status, said)
    }

    private var parts: (head: [UInt8], file: Int32, range: Range<Int64>, tail: [UInt8]) {
        switch body {
        case .none: ([], -1, 0..<0, [])
        case .bytes(let bytes): (bytes, -1, 0..<0, [])
        case .file(let file, let head, let tail): (head, file.descriptor, 0..<file.byteCount, tail)
        case .part(let file, let range): ([], file.descriptor, range, [])
        }
    }

    private var hasBody: Bool {
        if case .none = body { false } else { true }
    }

    private static func install(_ request: inout cremote_request) {
        request.header = { context, line, count in
            Intake.of(context)?.take(header: UnsafeRawBufferPointer(start: line, count: count))
        }
        request.receive = { context, status, bytes, count in
            let bytes = UnsafeRawBufferPointer(start: bytes, count: count)
            return Intake.of(context)?.take(status, bytes) == true ? 0 : 1
        }
        request.is_cancelled = { context in Intake.of(context)?.stop.isRaised == true ? 1 : 0 }
    }

    /// What has come of the answer.
    private final class Intake {
        var headers: [(name: String, value: String)] = []
        var body: [UInt8] = []
        var fault: StorageFault?
        let stop: StopFlag
        private let receive: (([UInt8]) throws(StorageFault) -> Void)?
        private let receivedStatus: Int

        init(
            _ receive: (([UInt8]) throws(StorageFault) -> Void)?, of receivedStatus: Int,
            _ stop: StopFlag
        ) {
            self.receive = receive
            self.receivedStatus = receivedStatus
            self.stop = stop
        }

        static func of(_ context: UnsafeMutableRawPointer?) -> Intake? {
            context.map { Unmanaged<Intake>.fromOpaque($0).takeUnretainedValue() }
        }

        func take(header line: UnsafeRawBufferPointer) {
            let text = String(decoding: line, as: UTF8.self)
            // Another answer came before, as "100 Continue" does.
            if text.hasPrefix("HTTP/") { headers = [] }
            guard headers.count < 256, let colon = text.firstIndex(of: ":") else { return }
            let value = text[text.index(after: colon)...].drop { $0.isWhitespace }
            headers.append((text[..<colon].lowercased(), String(value.prefix { !$0.isNewline })))
        }

        func take(_ status: Int, _ bytes: UnsafeRawBufferPointer) -> Bool {
            guard status == receivedStatus, let receive else {
                body += bytes.prefix(StorageExchange.kept - body.count)
                return true
            }
            do throws(StorageFault) {
                try receive(Array(bytes))
                return true
            } catch {
                fault = error
                return false
            }
        }
    }
}
