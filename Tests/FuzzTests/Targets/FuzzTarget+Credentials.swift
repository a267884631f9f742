import Credentials

/// Files of credentials, which are read again while the node runs: what can't be used is refused in words,
/// and a file means the same whenever it is read.
extension FuzzTarget {
    static let credentials = FuzzTarget(name: "credentials", largestInput: 4096) {
        bytes throws(Complaint) in
        let (first, second) = (CredentialsRead(bytes), CredentialsRead(bytes))
        try Complaint.unless(first == second, "\(first) became \(second)")
        try Complaint.unless(
            first.fault != "" && !first.warnings.contains(""), "nothing is said: \(first)")
        try Complaint.unless(
            first.entries <= bytes.count, "\(bytes.count) bytes have \(first.entries) entries")
    } seeds: {
        let texts = [
            #"[{"username":"a","password":"b","perms":["all"]}]"#,
            #"[{"username":"*","perms":["ready","status"]},{"username":"a","password":"b"}]"#,
            #"[{"username":"a","hash":"$6$saltsalt$0123456789abcdef","perms":["query"]}]"#,
            #"[{"token":"t","hash":"$6$saltsalt$0123456789abcdef","expires":"2027-01-31T00:00:00Z"}]"#,
            #"[{"Username":"é","PASSWORD":"\u0000","perms":["join","none","é"]},{"username":"é"}]"#,
            "[]", "{}",
        ]
        return texts.enumerated().map { FuzzSeed("file-\($0)", Array($1.utf8)) }
    }
}

/// What a file says, as far as it shows outside; its secrets are compared nowhere.
private struct CredentialsRead: Equatable {
    var entries = 0
    var warnings: [String] = []
    var fault: String?

    init(_ bytes: [UInt8]) {
        do throws(CredentialTable.Invalid) {
            let table = try CredentialTable(parsing: bytes)
            entries = table.counts.users + table.counts.tokens
            warnings = table.warnings
        } catch {
            fault = error.description
        }
    }
}
