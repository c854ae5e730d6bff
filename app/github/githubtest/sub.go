package githubtest

import "net/http"

// maxSubIssues is how many sub-issues an issue has at most.
// https://docs.github.com/issues/tracking-your-work-with-issues/using-issues/adding-sub-issues
const maxSubIssues = 100

func addSubIssue(c *call) (int, any) {
	i := c.issue()
	if i == nil {
		return getIssue(c)
	}
	var in struct {
		ID int64 `json:"sub_issue_id"`
	}
	if status, body := c.decode(&in); status != 0 {
		return status, body
	}
	for _, r := range c.state.byID {
		if r.owner != c.repo.owner {
			continue
		}
		for _, sub := range r.issues {
			if sub.id != in.ID {
				continue
			}
			switch {
			case sub.parent != nil:
				return unfit("Issue", "sub_issue_id", "custom", "Issue may not contain duplicate sub-issues and Sub issue may only have one parent")
			case len(i.parts) >= maxSubIssues:
				return unfit("Issue", "sub_issue_id", "custom", "Parent cannot have more than 100 sub-issues")
			}
			i.parts, sub.parent = append(i.parts, sub), i
			return http.StatusCreated, c.issueJSON(c.repo, i)
		}
	}
	return c.notFound()
}

func listSubIssues(c *call) (int, any) {
	i := c.issue()
	if i == nil {
		return getIssue(c)
	}
	list := []object{}
	for _, sub := range page(c, i.parts) {
		list = append(list, c.issueJSON(c.repo, sub))
	}
	return http.StatusOK, list
}
