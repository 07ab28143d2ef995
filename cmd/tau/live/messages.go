package live

import "time"

// What is asked and answered over the socket, as JSON.

// Status is how a node is.
type Status struct {
	Node     string   `json:"node"`
	Peer     string   `json:"peer"`
	Cloud    string   `json:"cloud"`
	CloudKey string   `json:"cloud-key"`
	Ready    bool     `json:"ready"`
	NotReady []string `json:"not-ready"` // why, by service
	Services []string `json:"services"`
	// Addresses are where others reach the node, as peers of a configuration.
	Addresses   []string  `json:"addresses"`
	Incarnation uint64    `json:"incarnation"`
	Up          string    `json:"up"`
	Until       time.Time `json:"certificate-until"`
	// Issuer: the certificate lets this node sign those of others, and only the cloud's key renews it.
	Issuer bool `json:"issuer"`
	// Stranger is why others do not take the node for a member: it was revoked, or its certificate has ended.
	Stranger string `json:"stranger,omitempty"`
	// Peers counts the other members that are alive, Known all that the node knows. Seers say who is alive; while
	// none has answered, Peers is Known and Unsure is true.
	Peers  int  `json:"peers"`
	Known  int  `json:"peers-known"`
	Unsure bool `json:"peers-unsure,omitempty"`
	// Jobs counts the newest jobs of the cloud by their state; null if no patrick has answered.
	Jobs map[string]int `json:"jobs"`
	// Gauges are what the node's services announce of themselves: "hoarder.bytes-used".
	Gauges   map[string]int64 `json:"gauges"`
	Warnings []Warning        `json:"warnings"`
}

// Peer is a member that the node knows.
type Peer struct {
	Peer      string   `json:"peer"`
	Name      string   `json:"name"`
	Services  []string `json:"services"`
	Addresses []string `json:"addresses"`
	// Alive: a seer has heard of it lately; absent if no seer has answered.
	Alive *bool `json:"alive,omitempty"`
	// FirstSeen is when a seer first heard of it, and AdmittedBy the peer that has signed the certificate that it showed then;
	// absent if no seer has answered, or it is not alive.
	FirstSeen  *time.Time `json:"first-seen,omitempty"`
	AdmittedBy string     `json:"admitted-by,omitempty"`
}

// InviteRequest asks for an invitation.
type InviteRequest struct {
	Services []string      `json:"services"`
	For      time.Duration `json:"for"`
	Uses     uint32        `json:"uses"`
}

// InviteResponse has it. It is a secret.
type InviteResponse struct {
	Invitation string    `json:"invitation"`
	Services   []string  `json:"services"`
	Until      time.Time `json:"until"`
}

// PushRequest is a tree to push, encoded.
type PushRequest struct {
	Project, Repository, Branch, Commit string
	Tree                                []byte
}

// PushResponse names the job, which survives.
type PushResponse struct {
	Job string `json:"job"`
}

// Job is what is known of a job.
type Job struct {
	Job      string    `json:"job"`
	Project  string    `json:"project"`
	Branch   string    `json:"branch"`
	Commit   string    `json:"commit"`
	Status   string    `json:"status"`
	Attempts int       `json:"attempts"`
	Accepted time.Time `json:"accepted"`
	Error    string    `json:"error,omitempty"`
}

// Failure is the answer to what was not done. Bad: the request is at fault. Unknown: it is about what nobody knows. Starting: the node has not
// started yet, and may answer soon.
type Failure struct {
	Text     string `json:"error"`
	Bad      bool   `json:"bad"`
	Unknown  bool   `json:"unknown,omitempty"`
	Starting bool   `json:"starting,omitempty"`
}

func (f *Failure) Error() string { return f.Text }
