/// Words that may stand in a type's name without standing in the glossary: plain English, and what
/// the standards of the trade (SQL, HTTP, POSIX, SQLite, Prometheus) call their things. A word that
/// means something of its own here belongs into docs/GLOSSARY.md instead.
enum PlainWords {
    /// In lower case; `Words.forms` adds plurals and the like.
    static let all = Set(
        """
        abi accept access action active activity address admission answer append applier
        arguments arrival arriving aside attempt auth authorization auto availability aws base64
        basis beginning body bounds breach bucket build byte c call campaign cancel cancellations catalog
        cause certificate change channel check checksum choice chunk cleared clearing client
        closing code collector column committed comparison compilation compile completion config
        confirmed conflict connection consensus consistency constants contact content context
        control count counter counts crc32 creation csv current cursor daemon data database date decimal
        decision decoding
        delegate description descriptor detail digest directory discovered disk
        distribution document download draining due durations elf encoded encoder encoding encryption end
        endpoint engine entity environment error event execution expectation explicit extent facts failure
        family fault fetch field file finished flag fnv form folder format found frame freshness function
        gateway gather gauge gcs generated go goal handler handover hard hash head held hex
        histogram host http http2 idempotency identity in inbound incoming inspection installation
        installer instance intake intent interface interruption invalid invocation isolated item
        job json kept keyword kind known leaving level library license like limit line listener
        lite literal local location lock logger long lookup loop lossy manual material matter means
        member memory message metadata meter method metric mismatch mix64 monitor monotonic name
        nearest network note number offer only open options order out outbound outflow outgoing
        output outstanding own packed page pair parameter parser password path payload peer
        pending percent permission phase place plain plan planned poison policy pool port portrait
        posix pragma prepared present problem process progress proposal protocol purpose query
        question queue raft random readiness reapings reason receipt receive recent recovery
        refused rejection release repeat replicated replication reply report request resolution
        response restored result retry role room rqlite runner running s3 sample scan scanner
        schedule schema script search section send sensitive sent server service serving setting
        setup sha256 shipping shortage shortest shown shutdown side signals signature single sink
        situation size small socket source span sparse speaker split sq sql stage standard start
        state statement statistics status stop stopping store string subject submission summary
        supply switch syntax system table tag taken taker tar target termination text thread time
        timeouts timestamped timings tls tokenizer total traffic transaction transport trigger
        trust undo unreadable unsent unwanted url usage utf8 variable
        verb verdict version view violation
        vote waiter waiting wake wall wanted whole wire word work xoshiro256 zip
        """.split { $0 == " " || $0 == "\n" }.map(String.init))
}
