internal import Notation
internal import Telemetry

/// Copies in a bucket of Amazon's S3, or of what speaks its protocol. A small copy is one request, a
/// larger one goes in parts.
struct S3Storage: StoragePlace {
    let settings: S3Settings
    /// How what is large is cut, and how often each request is tried.
    let rules: UploadRules
    /// Of uploads in parts.
    let notes: UploadNotes?
    private let hasTimestamp: Bool
    private let environment: @Sendable (String) -> String?

    static let markerPrefix = "x-rqlite-auto-backup-"
    /// What S3 says of a moment and not of the request, whatever the status.
    private static let passingCodes: Set<String> = [
        "InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown",
    ]
    /// SHA-256 of nothing.
    static let empty =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    init(
        _ settings: S3Settings, hasTimestamp: Bool, notes: UploadNotes? = nil,
        rules: UploadRules = UploadRules(), environment: @escaping @Sendable (String) -> String?
    ) {
        self.settings = settings
        self.hasTimestamp = hasTimestamp
        self.notes = notes
        self.rules = rules
        self.environment = environment
    }

    var name: String {
        guard let endpoint = settings.endpoint, !endpoint.host.hasSuffix("amazonaws.com") else {
            return "s3://\(settings.bucket)/\(settings.path)"
        }
        return "\(endpoint.url)/\(settings.bucket)/\(settings.path)"
    }

    func lookup(_ stop: StopFlag) throws(StorageFault) -> StoredCopy {
        let answer = try exchange("HEAD", settings.path).run(name, stop)
        if answer.status == 404 { return .nothing }
        guard answer.isGood else { throw fault("HEAD", answer) }
        return StoredCopy(
            BackupMarker(prefix: Self.markerPrefix) { answer.header("x-amz-meta-\($0)") })
    }

    func store(
        _ copy: UploadFile, _ marker: BackupMarker, at time: WallTime, _ stop: StopFlag
    ) throws(StorageFault) {
        let path = hasTimestamp ? TimestampedName.of(settings.path, time) : settings.path
        try put(copy, path, marker.members(prefix: "x-amz-meta-\(Self.markerPrefix)"), stop)
    }

    func put(
        _ copy: UploadFile, _ path: String, _ metadata: [(name: String, value: String)],
        _ stop: StopFlag
    ) throws(StorageFault) {
        var headers = metadata
        headers.append(("content-type", "application/octet-stream"))
        if let encryption = settings.encryption {
            headers.append(("x-amz-server-side-encryption", encryption))
        }
        if let key = settings.encryptionKey {
            headers.append(("x-amz-server-side-encryption-aws-kms-key-id", key))
        }
        guard copy.byteCount <= rules.threshold else {
            return try putInParts(copy, path, headers, metadata, stop)
        }
        var exchange = try exchange("PUT", path, headers, payload: copy.hash)
        exchange.body = .file(copy)
        exchange.timeout = nil
        let answer = try exchange.run(name, stop)
        guard answer.isGood else { throw fault("PUT", answer) }
    }

    func fetch(
        timeout: Duration, _ stop: StopFlag,
        receive: @escaping ([UInt8]) throws(StorageFault) -> Void
    ) throws(StorageFault) {
        try get(settings.path, timeout: timeout, stop, receive)
    }

    func get(
        _ path: String, from offset: Int64 = 0, timeout: Duration?, _ stop: StopFlag,
        _ receive: @escaping ([UInt8]) throws(StorageFault) -> Void
    ) throws(StorageFault) {
        var exchange = try exchange("GET", path, DownloadRange.headers(from: offset))
        exchange.receivedStatus = DownloadRange.status(from: offset)
        exchange.timeout = timeout
        let answer = try exchange.run(name, stop, receive: receive)
        guard DownloadRange.isGood(answer, from: offset) else { throw fault("GET", answer) }
    }

    /// A signed request.
    func exchange(
        _ method: String, _ path: String, _ headers: [(name: String, value: String)] = [],
        query: [(name: String, value: String)] = [], payload: String = Self.empty,
        time: WallTime = .now()
    ) throws(StorageFault) -> StorageExchange {
        let credentials: AWSCredentials
        if let given = settings.credentials {
            credentials = given
        } else {
            credentials = try AWSCredentials.find(environment: environment)
        }
        let (endpoint, host, base) = try address()
        let target = "\(base)/\(PercentEncoding.encode(path, keepingSlashes: true))"
        var all = headers
        all.append(("host", host))
        all.append(("x-amz-content-sha256", payload))
        all.append(("x-amz-date", time.basicText))
        if let token = credentials.token { all.append(("x-amz-security-token", token)) }
        let signature = RequestSignature(
            method: method, path: target, query: query, headers: all, payload: payload,
            time: time.basicText, region: settings.region)
        all.append(("authorization", try signature.authorization(credentials)))
        let scheme = endpoint.isTLS ? "https" : "http"
        let asked = query.isEmpty ? "" : "?\(signature.queryText)"
        return StorageExchange(
            method: method, url: "\(scheme)://\(host)\(target)\(asked)",
            isLocal: endpoint.isLoopback,
            headers: all)
    }

    /// The bucket is in the host's name, or in the path.
    private func address() throws(StorageFault) -> (Endpoint, host: String, base: String) {
        let end = settings.region.hasPrefix("cn-") ? ".cn" : ""
        let endpoint =
            if let given = settings.endpoint {
                given
            } else {
                try Endpoint("s3.\(settings.region).amazonaws.com\(end)", of: "region")
            }
        return settings.isPathStyle
            ? (endpoint, endpoint.host, "\(endpoint.basePath)/\(settings.bucket)")
            : (endpoint, "\(settings.bucket).\(endpoint.host)", endpoint.basePath)
    }

    /// Code and message of S3's document; the rest of it says what was signed.
    func fault(_ method: String, _ answer: StorageExchange.Answer) -> StorageFault {
        let text = String(decoding: answer.body, as: UTF8.self)
        let words = ["Code", "Message"].compactMap { AnswerText.element($0, of: text) }
        let fault = AnswerText.fault(name, method, answer, words)
        let isPassing = words.first.map(Self.passingCodes.contains) ?? false
        return StorageFault(fault.description, isTransient: fault.isTransient || isPassing)
    }
}

/// What a refusal says, fit for a line of the log.
enum AnswerText {
    static func fault(
        _ place: String, _ what: String, _ answer: StorageExchange.Answer, _ words: [String]
    ) -> StorageFault {
        let said = words.isEmpty ? "" : ": " + words.joined(separator: ": ")
        let isTransient = answer.status >= 500 || [408, 429].contains(answer.status)
        return StorageFault(
            "\(place): \(what) was answered \(answer.status)\(said)", isTransient: isTransient)
    }

    /// libcurl's words without how long it took, which differs from try to try: `after 13 ms`. One cause has one text, for the
    /// log tells it once.
    static func withoutTimes(_ text: String) -> String {
        var kept: [Substring] = []
        var rest = text.split(separator: " ", omittingEmptySubsequences: false)[...]
        while let word = rest.popFirst() {
            let number = rest.first.flatMap { Int($0) }
            let unit = rest.dropFirst().first ?? ""
            let isUnit = ["ms", "milliseconds"].contains(unit.prefix { $0.isLetter })
            guard word == "after", number != nil, isUnit else {
                kept.append(word)
                continue
            }
            rest = rest.dropFirst(2)
            if let last = kept.popLast() { kept.append(last + unit.drop { $0.isLetter }) }
        }
        return kept.joined(separator: " ")
    }

    /// The text of an XML element.
    static func element(_ name: String, of text: String) -> String? {
        guard let begin = text.firstRange(of: "<\(name)>"),
            let end = text[begin.upperBound...].firstRange(of: "</\(name)>")
        else { return nil }
        return printable(text[begin.upperBound..<end.lowerBound])
    }

    /// Short, and in one line.
    static func printable(_ text: some StringProtocol) -> String {
        String(
            decoding: text.utf8.prefix(200).map { (0x20...0x7E).contains($0) ? $0 : 0x20 },
            as: UTF8.self)
    }
}
