//! The condition and update expressions of the two tables, in DynamoDB's words.

// touch: an ordinary push by somebody known. An absent attribute makes its
// comparison false, so a record without times is refused, and decided.
pub(super) const KNOWN: &str = "standing IN (:new, :learned, :trusted)";
pub(super) const KNOWN_OR_PATTERN: &str = "standing IN (:new, :learned, :trusted, :pattern)";
pub(super) const IN_ORDER: &str = "lastSeen <= :t AND firstSeen <= :t";
pub(super) const IN_ORDER_AND_NOT_ABSENT: &str =
    "lastSeen BETWEEN :cutoff AND :t AND firstSeen <= :t";
// touch_late: the update moves no time, and no other push makes the condition false.
pub(super) const LATE: &str = "firstSeen <= :t AND lastSeen >= :t";
pub(super) const NOT_DECIDED: &str = "(attribute_not_exists(lastEventId) OR lastEventId <> :eid)";
pub(super) const SAME_PRINCIPAL: &str = "(attribute_not_exists(principalId) OR principalId = :pid)";
pub(super) const TRUST_HOLDS: &str = "(attribute_not_exists(trustedUntil) OR trustedUntil > :t)";
/// By habit. An item that has no habits yet, or others, is refused, and decided. One
/// whose habit is no set but a text or a list that holds this one passes too: no version
/// writes such an item.
pub(super) const HABITUAL: &str =
    "(wide = :true OR contains(places, :place)) AND contains(ways, :way)";
/// Follows what is set, if habits do not count.
pub(super) const FORGET_HABITS: &str = " REMOVE places, wide, ways, habitsSince";
pub(super) const TOUCH: &str = "SET lastSeen = :t, lastEventId = :eid, lastPush = :push, \
                     pushes = if_not_exists(pushes, :zero) + :one, \
                     revision = if_not_exists(revision, :zero) + :one";
pub(super) const TOUCH_LATE: &str = "SET pushes = if_not_exists(pushes, :zero) + :one, \
                          revision = if_not_exists(revision, :zero) + :one";
pub(super) const FILL_PRINCIPAL: &str = ", principalId = if_not_exists(principalId, :pid)";

// commit: the record is written only over the one that was read.
pub(super) const NO_RECORD: &str = "attribute_not_exists(uploader)";
pub(super) const READ_REVISION: &str = "revision = :revision";
/// A record written by hand may lack a revision.
pub(super) const READ_NO_REVISION: &str =
    "attribute_exists(uploader) AND (attribute_not_exists(revision) OR revision = :revision)";
pub(super) const NO_FINDING: &str = "attribute_not_exists(findingId)";

// commit_times: no term on the revision. The conditions demand that the push moves
// the same times as in the record that was read.
pub(super) const SAME_STANDING: &str = "standing = :standing";
pub(super) const MOVES_FIRST: &str = "(attribute_not_exists(firstSeen) OR firstSeen > :t)";
pub(super) const LEAVES_FIRST: &str = "firstSeen <= :t";
pub(super) const MOVES_LAST: &str = "(attribute_not_exists(lastSeen) OR lastSeen <= :t)";
pub(super) const LEAVES_LAST: &str = "lastSeen > :t";
pub(super) const MOVE_FIRST: &str = ", firstSeen = :t";
pub(super) const MOVE_LAST: &str = ", lastSeen = :t, lastPush = :push";
pub(super) const NOTE_EVENT: &str = ", lastEventId = :eid";
pub(super) const NOTE_FINDING: &str = ", lastFindingId = :finding";

// take_token: t5 is when the latest token was taken, and t1 when the fifth latest was.
// n3 to n1 are the latest three that were not for a critical finding.
pub(super) const TAKE_TOKEN: &str = "SET t1 = if_not_exists(t2, :never), t2 = if_not_exists(t3, :never), \
                          t3 = if_not_exists(t4, :never), t4 = if_not_exists(t5, :never), \
                          t5 = :now";
/// The same of those for findings that are not critical.
pub(super) const TAKE_LESSER_TOKEN: &str = ", n1 = if_not_exists(n2, :never), \
                          n2 = if_not_exists(n3, :never), n3 = :now";

// settle: the item loses what keeps it in the index of what is owed.
pub(super) const SETTLE: &str = "SET publishedAt = :now, messageId = :message, expiresAt = :expires \
                      REMOVE owed, owedSince, leaseUntil, leaseHolder, attempts";
pub(super) const IS_OWED: &str = "attribute_exists(owed)";

// lease: nobody holds the finding, or the holder's time is over, or the holder's clock
// was wrong, or the same holder asks again because the first answer was lost.
pub(super) const LEASE_UPDATE: &str = "SET leaseUntil = :until, leaseHolder = :holder, \
                            attempts = if_not_exists(attempts, :zero) + :one";
pub(super) const LEASE_CONDITION: &str = "attribute_exists(owed) AND (NOT attribute_type(leaseUntil, :number) \
                               OR leaseUntil <= :now OR leaseUntil > :horizon OR leaseHolder = :holder)";

// lease_sweep, end_sweep: the same for the right to publish alone.
pub(super) const SWEEP_UPDATE: &str = "SET leaseUntil = :until, leaseHolder = :holder";
pub(super) const SWEEP_CONDITION: &str = "NOT attribute_type(leaseUntil, :number) \
                               OR leaseUntil <= :now OR leaseUntil > :horizon OR leaseHolder = :holder";
pub(super) const SWEEP_END: &str = "REMOVE leaseUntil, leaseHolder";
pub(super) const HOLDS_SWEEP: &str = "leaseHolder = :holder";

// answer: by a person, once.
#[cfg(feature = "cli")]
pub(super) const ANSWER: &str = "SET answeredBy = :by, answeredAt = :at, answerReason = :reason";
#[cfg(feature = "cli")]
pub(super) const NOT_ANSWERED: &str =
    "attribute_exists(findingId) AND attribute_not_exists(answeredBy)";
