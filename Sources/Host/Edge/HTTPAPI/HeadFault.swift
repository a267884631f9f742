import NIOHTTP1

/// What a request's head must not have, though the parser takes it: what a proxy before this server may
/// understand otherwise than this server does (RFC 9112 §6.1 and §3.2, RFC 9110 §5.3). Where both differ on
/// where a request ends, or on who asks, one client's bytes become another's request.
struct HeadFault {
    /// What is wrong, as a continuation of "malformed HTTP request: ".
    let text: String

    /// Nil where nothing is wrong. One pass over the fields.
    init?(_ head: HTTPRequestHead) {
        var hosts = 0
        var credentials = 0
        var codings = 0
        for (name, value) in head.headers {
            // Lengths first: hardly any other field has these.
            switch name.utf8.count {
            case 4 where name.lowercased() == "host": hosts += 1
            case 13 where name.lowercased() == "authorization": credentials += 1
            case 17 where name.lowercased() == "transfer-encoding":
                codings += 1
                guard value.lowercased() == "chunked", codings == 1 else {
                    text = "no transfer encoding but chunked, once, is understood"
                    return
                }
            default: break
            }
        }
        if codings > 0, head.version.minor == 0 {
            text = "HTTP/1.0 has no transfer encodings"
        } else if hosts > 1 {
            text = "more than one Host"
        } else if credentials > 1 {
            text = "more than one Authorization"
        } else {
            return nil
        }
    }
}
