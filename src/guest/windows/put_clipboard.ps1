# Puts $mosdat_input into the clipboard and reads it back. 5: it cannot be opened; 6: it does not hold the text afterwards.
$lines = $mosdat_input.Replace("`r`n", "`n")
$text = $lines.Replace("`n", "`r`n")
$why = $null
foreach ($i in 1..10) {
    try {
        if ($mosdat_input -eq '') {
            Set-Clipboard -Value $null
        } else {
            Set-Clipboard -Value $text
        }
        $there = [string](Get-Clipboard -Raw -Format Text)
        if ($there.Replace("`r`n", "`n") -ceq $lines) { exit 0 }
        $why = $null
    } catch {
        # Another program has it open.
        $why = $_.Exception.GetBaseException().Message
    }
    Start-Sleep -Milliseconds 100
}
if ($null -eq $why) { exit 6 }
$mosdat_err.WriteLine($why)
exit 5
