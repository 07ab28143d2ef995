package words

import "github.com/taucloud/tau/sim/scenario"

// means says in one line what each check demands; its Doc is the exact wording.
var means = map[string]string{
	"dead-node-leaves":              "a node that is dead is soon in no seer's answers",
	"live-node-present":             "a node that is up and connected is not missing from a seer's answers",
	"members-are-known":             "what nodes and seers believe to be members is who is there",
	"clouds-never-mix":              "nobody takes a node of another cloud for a member of its own",
	"members-are-told":              "what seers tell users of nodes is true",
	"seers-agree":                   "in the end all seers name exactly the nodes that are up",
	"caught-up-before-serving":      "a replica that lost its disk catches up with another one before it serves",
	"whole-versions-only":           "no tns ever holds a part of a version",
	"versions-are-true":             "what tns tells of versions was published, is whole, and gets only newer",
	"projects-are-of-one-commit":    "configuration, routes and assets of a project are all of one commit",
	"projects-are-of-their-heads":   "a project in several repositories is of one commit of each, in the end of the newest",
	"newest-success-is-live":        "the newest push of a branch that succeeded is live in the end",
	"no-stale-publish":              "no tns lets a holder publish that another one has taken over from",
	"replicas-converged":            "in the end all replicas of a store are equal",
	"live-artifacts-kept":           "in the end some hoarder has the artifact of what is live",
	"history-kept":                  "in the end the newest versions of each branch are there",
	"no-lost-jobs":                  "a push that was acknowledged is not lost",
	"answers-are-true":              "what patricks and monkeys tell users of jobs and logs is true, and never less than before",
	"cancelled-is-not-published":    "what was cancelled or superseded is not published any more, and ends",
	"ack-is-durable":                "what is acknowledged is on as many disks as the acknowledgement says",
	"dedupe":                        "one push is one job, however often it is delivered",
	"every-job-final":               "in the end every acknowledged job has come to its end, the same on all patricks",
	"one-effective-outcome-per-job": "a job is published once at most, by who holds it, and as what it succeeded with",
	"slots-are-kept":                "no monkey builds or holds more jobs at once than it has slots",
	"artifacts-are-kept":            "what is published is on the disks of hoarders, and is what the push must come to",
	"incarnations-rise":             "each start of a node has a greater number than the one before",
	"one-holder-per-job":            "of monkeys that can talk to each other one at most believes to hold a job",
	"last-copy-kept":                "no hoarder lets go of, or claims, what is not on as many other disks as wanted",
	"copies-restored":               "in the end every item has as many copies as are wanted",
	"bounded-surplus":               "in the end no item has many more copies than wanted, and what nobody wants is gone",
	"content-intact":                "in the end a hoarder has on its disk what it says, whole, and nothing else",
	"capacity-respected":            "no hoarder holds more bytes than its capacity",
	"items-are-told":                "what hoarders tell users of items and of themselves is true",
	"rules-are-kept":                "no handler gets anything from who may not call it",
	"revoked-are-out":               "who was revoked is known to be so within 5 s, and served by nobody",
	"invitations-are-kept":          "by an invitation come no more nodes than it is for, and none when it has ended",
	"expired-are-out":               "who shows a certificate that has ended is served by nobody",
	"certificates-are-renewed":      "a node that reaches an auth shows a certificate that counts",
	"forges-are-followed":           "in the end the newest job of each branch is of the commit that the forge has there",
	"webhooks-are-answered":         "forged, repeated, oversized and foreign webhooks are refused",
	"secrets-stay-secret":           "no secret is in a fact or on a disk as it is",
	"answers-are-one-version":       "each page that a browser gets is that of one version, and of a current one",
	"requests-are-answered":         "no request of a browser fails that could be answered",
	"requests-are-alone":            "a function that is asked sees that request, and nothing of any other",
	"functions-go-where-they-may":   "functions reach the hosts outside that their projects have allowed them, and nobody else",
	"streams-are-whole":             "an answer that goes on comes as it is made, and what is cut never seems whole",
	"functions-run-once":            "no request is run by two functions, however late its answer is",
	"functions-are-bounded":         "functions that do harm are ended, and none runs more often at once than it may",
	"substrates-follow":             "in the end every substrate serves what is current",
	"nothing-uninvited":             "nothing is published, finished or accepted that no user asked for",
}

// inOneLine adds to checks what they mean.
func inOneLine(list []scenario.Check) []scenario.Check {
	for i := range list {
		list[i].Means = means[list[i].Name]
	}
	return list
}
