/// Status line and headers of an answer, line by line as they come.
struct AnswerHead {
    private(set) var status = 0
    private(set) var headers: [(name: String, value: String)] = []
    /// Bytes taken so far.
    private(set) var size = 0
    /// Whether the empty line at its end has come. libcurl takes a connection that ends before it for
    /// the end of the answer.
    private(set) var isComplete = false

    mutating func take(_ line: UnsafeRawBufferPointer) {
        size += line.count
        let text = String(decoding: line, as: UTF8.self)
        if text.hasPrefix("HTTP/") {
            // Another answer came before, as "100 Continue" does.
            headers = []
            isComplete = false
            status = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            return
        }
        if text.allSatisfy(\.isNewline) { isComplete = true }
        guard let colon = text.firstIndex(of: ":") else { return }
        let value = text[text.index(after: colon)...].drop { $0.isWhitespace }
        headers.append(
            (text[..<colon].lowercased(), String(value.prefix { !$0.isNewline }).trimmedAtEnd))
    }
}

extension String {
    fileprivate var trimmedAtEnd: String {
        var text = self
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
