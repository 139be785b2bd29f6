# In a second, so that the agent can still answer. Programs are not asked.
$said = & shutdown.exe /r /f /t 1 /d p:0:0
if ($LASTEXITCODE -ne 0) {
    $mosdat_err.WriteLine("shutdown ended with ${LASTEXITCODE}: $said")
    exit 1
}
exit 0
