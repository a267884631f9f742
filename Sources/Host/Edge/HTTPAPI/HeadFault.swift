import NIOHTTP1

/// What a request's head must not have, though the parser takes it: what a proxy before this server may
/// understand otherwise than this server does (RFC 9112 §6.1 and §3.2, RFC 9110 §5.3), and what is more
/// than the limits allow. Where both differ on where a request ends, or on who asks, one client's bytes
/// become another's request.
struct HeadFault {
    let refusal: HTTPRefusal

    /// Nil where nothing is wrong. One pass over the fields.
    /// - Parameter size: of all fields, in bytes, where nothing is wrong.
    init?(
        _ head: HTTPRequestHead, _ expectation: Expectation, _ limits: HTTPLimits,
        size: inout Int
    ) {
        var hosts = 0
        var credentials = 0
        var codings = 0
        size = 0
        for (name, value) in head.headers {
            size += name.utf8.count + value.utf8.count
            // Lengths first: hardly any other field has these.
            switch name.utf8.count {
            case 4 where name.lowercased() == "host":
                hosts += 1
                guard Self.isHost(value) else {
                    refusal = Self.malformed("Host is no host")
                    return
                }
            case 13 where name.lowercased() == "authorization": credentials += 1
            case 17 where name.lowercased() == "transfer-encoding":
                codings += 1
                guard value.lowercased() == "chunked", codings == 1 else {
                    refusal = Self.malformed(
                        "no transfer encoding but chunked, once, is understood")
                    return
                }
            default: break
            }
        }
        if head.uri.utf8.count > limits.targetBytes {
            refusal = .targetTooLong
        } else if size > limits.headerBytes {
            refusal = .headerTooLarge
        } else if codings > 0, head.version.minor == 0 {
            refusal = Self.malformed("HTTP/1.0 has no transfer encodings")
        } else if hosts > 1 {
            refusal = Self.malformed("more than one Host")
        } else if hosts == 0, head.version.minor > 0 {
            refusal = Self.malformed("HTTP/1.1 without Host")
        } else if credentials > 1 {
            refusal = Self.malformed("more than one Authorization")
        } else if !expectation.isKnown {
            refusal = .expectationUnknown
        } else {
            return nil
        }
    }

    private static func malformed(_ text: String) -> HTTPRefusal {
        .malformed("malformed HTTP request: \(text)")
    }

    /// Nothing that ends a host, or begins something else, for whoever reads it before or behind us
    /// (RFC 3986 §3.2.2). An empty one is sent where there is no name.
    private static func isHost(_ value: String) -> Bool {
        value.utf8.allSatisfy { byte in
            byte > 0x20 && byte != 0x7F && !"\"#,/<>?@\\^`{|}".utf8.contains(byte)
        }
    }
}

/// What the client wants to hear before it sends its body (RFC 9110 §10.1.1).
struct Expectation {
    /// It holds its body back until it is told to go on.
    let wantsContinue: Bool
    /// Nothing else is expected.
    let isKnown: Bool

    init(_ head: HTTPRequestHead) {
        let fields = head.headers["expect"]
        // HTTP/1.0 has no interim answers: nothing is waited for.
        guard head.version.minor > 0, !fields.isEmpty else {
            wantsContinue = false
            isKnown = true
            return
        }
        isKnown = fields.allSatisfy { $0.isEmpty || $0.lowercased() == "100-continue" }
        wantsContinue = head.hasBody && fields.contains { $0.lowercased() == "100-continue" }
    }
}

extension HTTPRequestHead {
    /// Something follows it.
    var hasBody: Bool {
        headers.contains(name: "transfer-encoding")
            || headers.first(name: "content-length").flatMap { Int($0) } ?? 0 > 0
    }
}
