/// The manual page rqlited(8), in the language of man(7).
enum ManualPage {
    static var text: String {
        var page = #"""
            .TH RQLITED 8 "" "rqlited \#(Build.version)" "System administration"
            .SH NAME
            rqlited \- SQLite replicated by Raft, with rqlite's HTTP API
            .SH SYNOPSIS
            .B rqlited
            [\fIflags\fR] \fIdata-directory\fR
            .br
            .B rqlited disco
            \fBlist\fR|\fBresolve\fR|\fBshow\fR|\fBclear\fR [\fIflags\fR]
            .br
            .B rqlited recover
            [\fB\-\-json\fR] \fIdata-directory\fR
            .br
            .B rqlited recover \-\-force
            [\fB\-\-survivor\fR \fITERM\fR:\fIINDEX\fR ...] [\fB\-\-json\fR] \fIdata-directory\fR
            .br
            .B rqlited restore \-\-from
            \fIURL\fR|\fIFILE\fR [\fB\-\-at\fR \fIINDEX\fR|\fITIME\fR] [\fB\-\-cluster\fR \fIID\fR]
            \fB\-\-to\fR \fIFILE\fR|\fB\-\-rehearse\fR [\fB\-\-json\fR]
            .br
            .B rqlited auth
            \fBhash\fR [\fByescrypt\fR|\fBbcrypt\fR] | \fBtoken\fR \fINAME\fR | \fBcheck\fR \fIFILE\fR
            .br
            .B rqlited secret
            | \fBopenapi\fR | \fBversion\fR | \fBhelp\fR
            .SH DESCRIPTION
            A node of a cluster that keeps copies of one SQLite database equal, and keeps running when
            a machine fails. The same command line serves a first start and every restart.
            .SH FLAGS
            A flag is written \fB\-name\fR \fIvalue\fR, \fB\-name=\fR\fIvalue\fR or \fB\-\-name\fR; only
            the form with = gives a Boolean flag a value.

            """#
        page += sections(Flag.all)
        page += #"""
            .SH DISCOVERY FROM THE COMMAND LINE
            \fBrqlited disco\fR looks at discovery without a node. Beside the flags of discovery and of
            a node's addresses it takes:

            """#
        page += DiscoveryCommand.flags.filter { $0.subject == .verbs }.map(entry).joined()
        page += #"""
            .SH EXIT STATUS
            0 after an orderly stop, 1 if the node could not start or go on, 2 if the command line is
            wrong. What went wrong is said in one line on standard error.
            .SH SIGNALS
            SIGTERM and SIGINT stop a node in order: it hands leadership over and closes its files. A second
            one, two seconds later or more, ends it at once.
            SIGHUP makes a node with \fB\-auth\fR read that file again; it does so by itself when the
            file changes.

            """#
        return page
    }

    private static func sections(_ flags: [Flag]) -> String {
        var text = ""
        for subject in Flag.Subject.allCases {
            let rows = flags.filter { $0.subject == subject && $0.availability == .available }
            guard !rows.isEmpty else { continue }
            text += ".SS \(escaped(subject.rawValue))\n"
            text += rows.sorted { $0.name < $1.name }.map(entry).joined()
        }
        return text
    }

    private static func entry(_ flag: Flag) -> String {
        let value = flag.kind == .boolean ? "" : " \\fI\(flag.kind.word.dropFirst())\\fR"
        let note = Usage.defaultNote(flag)
        return ".TP\n\\fB\\-\(escaped(flag.name))\\fR\(value)\n"
            + "\(escaped(flag.help))\(escaped(note))\n"
    }

    /// A hyphen would become a dash, and a line that begins with a dot a command.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "\\": result += "\\e"
            case "-": result += "\\-"
            default: result.append(character)
            }
        }
        return result.hasPrefix(".") || result.hasPrefix("'") ? "\\&" + result : result
    }
}
