import CCurl
import PluginABI

/// Sets the options of TLS on an easy handle.
struct TransferTLS {
    let easy: UnsafeMutableRawPointer

    func set(_ options: TLSOptions) throws(TransferFailure) {
        if options.isUnverified {
            try CurlOption.check([
                ccurl_set_long(easy, CURLOPT_SSL_VERIFYPEER, 0),
                ccurl_set_long(easy, CURLOPT_SSL_VERIFYHOST, 0),
            ])
        }
        try set(options.authorities)
        keepNothing()
        guard let identity = options.identity else { return }
        try set(identity.certificate, file: CURLOPT_SSLCERT, text: CURLOPT_SSLCERT_BLOB)
        try set(identity.key, file: CURLOPT_SSLKEY, text: CURLOPT_SSLKEY_BLOB)
    }

    /// Files may be exchanged at any time. libcurl keeps authorities for a day, and sessions, in which neither
    /// end shows a certificate again. One that knows no such option keeps nothing either.
    private func keepNothing() {
        _ = ccurl_set_long(easy, CURLOPT_CA_CACHE_TIMEOUT, 0)
        _ = ccurl_set_long(easy, CURLOPT_SSL_SESSIONID_CACHE, 0)
    }

    /// Certificates that are given stand alone: both of libcurl's own places are taken back first.
    private func set(_ authorities: TLSOptions.Authorities) throws(TransferFailure) {
        if authorities == .system { return }
        try CurlOption.check([
            ccurl_set_text(easy, CURLOPT_CAINFO, nil), ccurl_set_text(easy, CURLOPT_CAPATH, nil),
        ])
        switch authorities {
        case .system: return
        case .certificates(let pem):
            try set(pem, file: CURLOPT_CAINFO, text: CURLOPT_CAINFO_BLOB)
        case .directory(let path):
            try CurlOption.check([ccurl_set_text(easy, CURLOPT_CAPATH, path)])
        }
    }

    private func set(
        _ pem: TLSOptions.PEM, file: CURLoption, text: CURLoption
    ) throws(TransferFailure) {
        switch pem {
        case .file(let path): try CurlOption.check([ccurl_set_text(easy, file, path)])
        case .text(let bytes):
            let result = bytes.withUnsafeBytes {
                ccurl_set_blob(easy, text, $0.baseAddress, $0.count)
            }
            try CurlOption.check([result])
        }
    }
}

enum CurlOption {
    /// An option that is refused is one that this libcurl was built without.
    static func check(_ results: [CURLcode]) throws(TransferFailure) {
        for result in results where result != CURLE_OK {
            let code = result == CURLE_OUT_OF_MEMORY ? RQD_INTERNAL : RQD_UNSUPPORTED
            throw TransferFailure(code, "libcurl refuses an option: \(CurlText.of(result))")
        }
    }
}
